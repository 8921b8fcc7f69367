"""Checks of notebook 04."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.mlir.lite.metrics import converter_error_data_pb2

from varhandle.conversion.converter import inspect_conversion
from varhandle.evaluate.parity import check_parity
from varhandle.graph import ModelFileError
from workbook_lib.lesson.checks.freeze_the_weights import normalized_model
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same


@exercise("convert/keep-the-total")
def without_add(function: Any) -> str:
    """Return a .tflite file in which `look` reads a variable, and that has no `add`.

    1. `signature_keys` takes a list of names. Which signatures may the file have?
    2. With `look` alone the total became a constant. Which of the others assigns it?
    3. Convert with `signature_keys=["look", "reset"]`, and return what `convert()` gives.
    """
    module = _counter()
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"add": module.add, "look": module.look, "reset": module.reset}
        tf.saved_model.save(module, folder, signatures=signatures)
        content = attempt(function, folder)
    expect(content, (bytes, bytearray), "the bytes of the file, as `convert()` gives them")
    try:
        found = inspect_conversion(bytes(content))
    except ModelFileError as error:
        raise Wrong("These bytes are no `.tflite` file.") from error
    names = [signature.name for signature in found.signatures]
    if "add" in names:
        raise Wrong("The file still has `add`. Which argument of the door names signatures?")
    if "look" not in names:
        raise Wrong(
            "The file has no `look`, and the device is to look. Its signatures are: "
            f"{', '.join(names) or 'none'}."
        )
    if not any("look" in at.signatures for v in found.variables for at in v.reads):
        raise Wrong(
            "In this file `look` gives a constant, because no signature in it assigns the total. "
            "Which of the three may come with it?"
        )
    if not check_parity(module.look, content, [{}] * 2, signature="look").passed:
        start = np.asarray(module.total).astype(int).tolist()
        raise Wrong(
            f"In the check's SavedModel the total starts as {start}, and `look` of your file "
            "answers otherwise. Does your function convert the folder that it is given?"
        )
    return "`reset` assigns the total, so it is a variable of the file, and `look` reads it."


def _counter() -> Any:
    """Return a module with the notebook's three functions, and with numbers of its own."""

    class Counter(tf.Module):
        def __init__(self) -> None:
            self.total = tf.Variable([10.0, 20.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([2], name="x")], autograph=False)
        def add(self, x: Any) -> dict[str, Any]:
            self.total.assign_add(x)
            return {"total": self.total + 0.0}

        @tf.function(input_signature=[], autograph=False)
        def look(self) -> dict[str, Any]:
            return {"total": self.total + 0.0}

        @tf.function(input_signature=[], autograph=False)
        def reset(self) -> dict[str, Any]:
            self.total.assign([0.0, 0.0])
            return {"total": self.total + 0.0}

    return Counter()


@exercise("convert/ops-by-code")
def ops_by_code(function: Any) -> str:
    """Gather the ops of a list of `ConverterError` entries by the names of their codes.

    1. Print one entry: the op's name is in `entry.operator.name`.
    2. `entry.ErrorCode.Name(entry.error_code)` is the name of the code. Gather the ops of each code
       in a set.
    3. `found.setdefault(code, set())` gives the set of a code, and makes it at the first time. Add
       each op to the set of its code; at the end make a sorted list of each set.
    """
    entries = _entries()
    answer = attempt(function, list(entries))  # which the learner may sort or empty
    expected: dict[str, list[str]] = {}
    for entry in sorted(entries, key=lambda entry: entry.operator.name):
        ops = expected.setdefault(entry.ErrorCode.Name(entry.error_code), [])
        if entry.operator.name not in ops:
            ops.append(entry.operator.name)
    expect(answer, Mapping, "a dictionary")
    if not same(answer, expected):
        _judge_keys(set(answer), expected, entries)
        for code, ops in expected.items():
            _judge_ops(answer[code], ops, code, entries)
    if not same(attempt(function, []), {}):
        raise Wrong("For a list without entries it is to return an empty dictionary.")
    return "Structured entries do not change with the wording of a message. Read these first."


def _judge_keys(keys: set[Any], expected: Mapping[str, Any], entries: list[Any]) -> None:
    if keys == set(expected):
        return
    if keys and all(isinstance(key, int) for key in keys):
        raise Wrong("The keys are the numbers of the codes. The entry can name them.")
    if keys and keys <= {entry.operator.name for entry in entries}:
        raise Wrong("The keys are ops. Turn it round: a key is a code, its value a list of ops.")
    missing = sorted(set(expected) - keys, key=str)
    if missing:
        raise Wrong(f"The check's entries have the code {missing[0]}, and your dictionary has not.")
    extra = sorted(keys - set(expected), key=str)
    raise Wrong(f"No entry of the check has the code {extra[0]}, and your dictionary has it.")


def _judge_ops(given: Any, expected: list[str], code: str, entries: list[Any]) -> None:
    if same(given, expected):
        return
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise Wrong(f"The value of {code} is of type `{type(given).__name__}`, and no list.")
    if strange := [op for op in given if not isinstance(op, str)]:
        raise Wrong(
            f"The list of {code} holds objects of type `{type(strange[0]).__name__}`, no names. "
            "The notebook printed the name of an entry's op: in which field is it?"
        )
    if same(given, set(expected)):
        if len(given) > len(expected):
            raise Wrong(
                f"The list of {code} has {len(given)} ops, of which {len(expected)} are different. "
                "Give each once."
            )
        raise Wrong(f"The ops of {code} are right. Give them as a list, sorted.")
    if set(given) & {call.name for entry in entries for call in entry.location.call}:
        raise Wrong("These are nodes: the places of the ops. The op is in `entry.operator`.")
    raise Wrong(f"For {code} the check expects {', '.join(expected)}, and not {given!r}.")


def _entries() -> list[Any]:
    """Return entries as a refusal has them: repeated ops, in no order, one op with two codes."""
    entry_type = converter_error_data_pb2.ConverterErrorData
    return [
        entry_type(
            error_code=entry_type.ErrorCode.Value(code),
            error_message=f"'{op}' op is neither a custom op nor a flex op",
            operator={"name": op},
            location={"call": [{"name": node}]},
        )
        for op, code, node in (
            ("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS", "total"),
            ("tf.PyFunc", "ERROR_NEEDS_CUSTOM_OPS", "halve"),
            ("tf.AssignVariableOp", "ERROR_NEEDS_FLEX_OPS", "assign"),
            ("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS", "state"),
            ("tf.Enter", "ERROR_UNSUPPORTED_CONTROL_FLOW_V1", "loop"),
            ("tf.PyFunc", "ERROR_NEEDS_FLEX_OPS", "plot"),
        )
    ]


@exercise("convert/owner")
def owner_of(function: Any) -> str:
    """Return an object that owns what the functions of a Keras model read.

    1. What did the line in `CuredService` give to the module?
    2. An owner needs no function. An empty `tf.Module()` can be given an attribute.
    3. Make a `tf.Module()`, set one of its attributes to `[v.value for v in model.variables]`, and
       return it.
    """
    model, twin = normalized_model(), normalized_model()
    twin.set_weights(model.get_weights())  # the learner's function may change the model
    spec = tf.TensorSpec([1, 4], name="x")
    concrete_function = tf.function(model, autograph=False).get_concrete_function(spec)
    owner = attempt(function, model)
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete_function], owner)
        content = converter.convert()
    except Exception as error:
        raise Wrong(
            f"With this owner, of type `{type(owner).__name__}`, the converter stops: "
            f"{type(error).__name__}. What did the notebook hand to it?"
        ) from error
    found = inspect_conversion(content)
    if found.uninitialized:
        raise Wrong(
            f"The file reads {len(found.uninitialized)} variables that nothing initializes: the "
            "owner does not see a `tf.Variable`. Where does a variable of Keras keep one?"
        )
    if not found.signatures:
        listed = getattr(owner, "variables", ())
        owned = set(map(id, listed)) if isinstance(listed, (list, tuple)) else set()
        seen = sum(id(variable.value) in owned for variable in model.variables)
        raise Wrong(
            f"The file has no signature: of the {len(model.variables)} variables of the check's "
            f"model your object owns {seen}, so it could not be saved, and the converter froze the "
            "function. Which variables are left out, or copied? Those that are not trained count "
            "as well."
        )
    calls = list(np.random.default_rng(3).random((3, 1, 4), np.float32))
    if not check_parity(twin, content, calls).passed:
        raise Wrong(
            "It converts, and answers something else than the model did before your function was "
            "called. An owner holds the variables as they are."
        )
    return "The owner holds the variables that the graph reads, so saving finds their values."
