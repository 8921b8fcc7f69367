"""Whether what is told as JSON keeps to the schema that is published for it."""

import json

import jsonschema

from varhandle.facts.schemas import schema_of


def form_of(verb):
    schema = schema_of(verb)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_form(verb, told):
    """Hold a result, or the text that a command printed, against its verb's schema; return it."""
    if not isinstance(told, str):
        told = json.dumps(told.as_dict(), allow_nan=False)
    content = json.loads(told, parse_constant=_no_json)
    form_of(verb).validate(content)
    return content


def _no_json(word):
    raise ValueError(f"{word} is no JSON")
