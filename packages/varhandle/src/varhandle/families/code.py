"""Parts of the fixes: code for the model in question, and commands for a shell.

What they return can be pasted into a program: sentences are comments in it. Names and paths out of
a file enter it as Python literals, so that none of them can become code. What is the author's own
is called the same throughout: ``self`` (the object that owns the variable), ``new_value``,
``index``, ``x``.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from varhandle.display import printable
from varhandle.facts.dtypes import DTYPES
from varhandle.formats import FORMATS, TFLITE, format_of
from varhandle.formats.base import OF_NO_MODULE, TAKEN_BY_KEY
from varhandle.graph import Graph, Shape, Variable

OWNER = """\
function = module.__call__.get_concrete_function()
converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
# or from a SavedModel: tf.lite.TFLiteConverter.from_saved_model(folder)"""
"""Hand the converter the object that owns the variable."""


EXPORT_FOR_INFERENCE = """\
spec = tf.TensorSpec([1, *model.input_shape[1:]])
archive = tf.keras.export.ExportArchive()
archive.track(model)
archive.add_endpoint("serve", lambda x: model(x, training=False), input_signature=[spec])
archive.write_out(folder)"""
"""Save what a Keras model does when it answers, whatever its layers would do in training."""


def lines(*parts: str) -> str:
    """Write code, line by line."""
    return "\n".join(parts)


def with_tensorflow(comment: str, *parts: str) -> str:
    """Write code that uses TensorFlow, after a comment that says what it does."""
    return lines(comment, "import tensorflow as tf", "", *parts)


def comment(text: object) -> str:
    """Write a name out of a file so that it cannot leave the comment that it stands in."""
    return printable(text)


def attribute(name: str) -> str:
    """Return a Python name for the attribute that holds a variable."""
    last = name.rpartition("/")[2]
    cleaned = re.sub(r"\W", "_", last, flags=re.ASCII)
    return cleaned if cleaned[:1].isalpha() else f"v_{cleaned}"


def dtype(variable: Variable) -> str:
    """Return TensorFlow's name of a dtype; a file may hold any text in its place."""
    return variable.dtype if variable.dtype in DTYPES else "float32"


def sized(shape: Shape | None) -> list[int]:
    """Return a shape as a list, with 1 in the place of what is not known."""
    return [1 if size is None else size for size in shape or ()]


def held(variable: Variable) -> str:
    """Return what holds a variable in the class of the model: by its place there, if that is told.

    A variable that nobody named is called Variable_1, and no attribute of an object is.
    """
    parts = (variable.owner or "").split("/")
    if parts[0].isdigit() or not all(map(_is_plain, parts)):
        return f"self.{attribute(variable.name)}"
    return "self" + "".join(f"[{one}]" if one.isdigit() else f".{one}" for one in parts)


def _is_plain(part: str) -> bool:
    named = part.isidentifier() and part.isascii() and not keyword.iskeyword(part)
    return part.isdecimal() or (named and not part.startswith("_"))


def made(variable: Variable) -> str:
    """Return the attribute that a new variable takes in its place; no list of the model's own."""
    return re.sub(r"\[(\d+)\]", r"_\1", held(variable))


def new_variable(variable: Variable, value: str) -> str:
    """Make a variable of this name as an attribute."""
    return f"{made(variable)} = tf.Variable({value}, name={variable.name!r})"


def traced(what: str, shape: str) -> tuple[tuple[str, str], ...]:
    """Write what takes the place of an export on Keras 2 (``Family.older``).

    A converter up to 2.6 takes no owner of the variables beside the function.
    """
    trace = (
        f"trace the model for {what} yourself: function = tf.function(lambda x:"
        f" model(x)).get_concrete_function(tf.TensorSpec({shape})), and"
    )
    return (
        ("2.6", f"{trace} tf.lite.TFLiteConverter.from_concrete_functions([function])."),
        ("2.15", f"{trace} tf.lite.TFLiteConverter.from_concrete_functions([function], model)."),
    )


def save_for_inference(signature: str | None) -> str:
    """Save a Keras model that was traced in training for inference."""
    return lines(
        "# Unless you train on the device, save it for inference. A Keras model:",
        'model.export("inference")',
        "",
        "# Or, where a tf.Module of your own calls the model (spec: the TensorSpec of its input):",
        "import tensorflow as tf",
        "",
        "module = tf.Module()",
        "module._variables = [v.value for v in model.variables]",
        "module.step = tf.function(lambda x: model(x, training=False), input_signature=[spec])",
        'tf.saved_model.save(module, "inference", signatures='
        f"{{{signature or 'serving_default'!r}: module.step}})",
    )


def convert_signatures(graph: Graph, *signatures: str) -> str:
    """Convert signatures of a SavedModel into one file."""
    before, path = format_of(graph).source_code(graph.source)
    return lines(
        *before,
        "import tensorflow as tf",
        "",
        f"converter = tf.lite.TFLiteConverter.from_saved_model({path!r}, "
        f"signature_keys={list(signatures)!r})",
        'open("model.tflite", "wb").write(converter.convert())',
    )


def convert_with(graph: Graph, signature: str | None, setting: str) -> str:
    """Convert a model of any format with one more setting of the converter."""
    model_format = format_of(graph)
    before, path = model_format.source_code(graph.source)
    called = model_format.call_signature(graph, None)
    names = (signature,) if signature else ()
    return lines(
        *before,
        "import tensorflow as tf",
        "",
        f"source = {path!r}",
        *([] if model_format.shows_ops else load_keras_code(graph)),
        *model_format.converter_code(called, names),
        setting,
        'open("model.tflite", "wb").write(converter.convert())',
        cure_comment(graph.source, signature),
    )


def load_keras_code(graph: Graph, options: str = "") -> list[str]:
    """Load a Keras file: what is no matter of one call of Keras, by the tool.

    ``options`` are further arguments of ``formats.keras_loader.load_keras``, each after a comma.
    """
    is_old = (graph.producer or "Keras 2").startswith("Keras 2")
    options = ", trust=True" * bool(graph.embedded_code) + options
    marks = {TAKEN_BY_KEY, OF_NO_MODULE}
    marked = any(marks & node.attributes.keys() for node in graph.nodes)
    if not (is_old or options or marked):
        return ["model = tf.keras.models.load_model(source, compile=False)"]
    return [
        "from varhandle.formats.keras_loader import load_keras",
        "",
        f"model = load_keras(source{options})",
    ]


def convert_here(graph: Graph, signature: str, since: str) -> str:
    """Convert with a TensorFlow that takes the model as it is."""
    converting = convert_signatures(graph, signature)
    return lines(f"# TensorFlow {since} and later convert it as it is:", converting)


def cure_comment(path: str, signature: str | None) -> str:
    """Say, as a comment, how the tool cures a file whose program is not at hand."""
    return lines(
        "",
        "# Without the program that made the file, let the tool try to rebuild and to prove it:",
        f"# {cure_command(path, signature)}",
    )


SEE_WHY = "`varhandle locate MODEL --why` names the part to blame"
SEE_OP = "`varhandle locate MODEL` names the op that differs"
SEE_DIAGNOSIS = "`varhandle diagnose MODEL` says what to do about it"


def cure_command(path: str, signature: str | None) -> str:
    """Make the file on the command line."""
    return f"varhandle cure {shell(path)} model.tflite{_option(path, signature)}"


def with_options(text: str, path: str, trust: bool, imports: Iterable[str]) -> str:
    """Give the commands of a fix, at the end of its line, what loading the model needs."""
    options = " --trust" * trust + "".join(f" --import {shell(each)}" for each in imports)
    mine = f"varhandle cure {shell(path)} "
    return "\n".join(f"{line}{options * (mine in line)}" for line in text.split("\n"))


def lift_code(path: str, signature: str | None) -> str:
    """Take the state out of the file, on the command line."""
    if TFLITE.is_named(path):
        return f"varhandle lift {shell(path)} stateless.tflite"
    target = "--target builtin-only"
    return f"varhandle cure {shell(path)} stateless.tflite {target}{_option(path, signature)}"


def _option(path: str, signature: str | None) -> str:
    # What is said of the file that was made is said of the model that it was made of, too, and a
    # Keras model has no signatures.
    named = any(one.is_named(path) and not one.shows_ops for one in FORMATS)
    return f" --signature {shell(signature)}" if signature and not named else ""


def shell(text: str) -> str:
    """Quote a word for a shell; one with control characters as bash's ``$'…'`` takes it."""
    if re.fullmatch(r"[\w@%+=:,./-]+", text, flags=re.ASCII):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return f"${printable(text, None)!r}".replace("\\\\", "\\")


def name_in_log(variable: str, otherwise: str) -> str:
    """Return the name of an attribute for a variable of a log: its last part, if it can be."""
    last = variable.rpartition("/")[2]
    return last if last.isidentifier() else otherwise
