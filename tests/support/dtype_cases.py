"""Every dtype and every update of a variable: what the converter, and ``cure``, make of it.

``outcomes`` runs in one warm child, so that a case costs no process of its own.
"""

import contextlib
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

UPDATES = ("only read", "assign", "assign_add", "assign_sub", "assign a slice", "scatter")
CALLS = 3
#: What TensorFlow casts to and from where it has no cast from float32.
CAST_FROM = {"int4": "int8", "uint4": "int8", "complex64": "complex64", "complex128": "complex128"}


def save(dtype, update, folder):
    """Save a model whose one signature updates a variable, and answers with its value."""
    import tensorflow as tf

    edge = "string" if dtype == "string" else CAST_FROM.get(dtype, "float32")
    first = tf.constant(["a", "b", "c"]) if dtype == "string" else tf.constant([1, 1, 0], edge)
    module = tf.Module()
    module.v = tf.Variable(tf.cast(first, dtype) if edge != dtype else first, name="v")

    @tf.function(input_signature=[tf.TensorSpec([3], edge, name="x")])
    def step(x):
        value = tf.cast(x, dtype) if edge != dtype else x
        if update.startswith("assign_"):
            getattr(module.v, update)(value)
        elif update == "assign":
            module.v.assign(value)
        elif update == "assign a slice":
            module.v[:2].assign(value[:2])
        elif update == "scatter":
            module.v.scatter_nd_update([[2], [0]], value[:2])
        read = module.v.read_value()
        return {"y": tf.cast(read, edge) if edge != dtype else read}

    module.step = step
    tf.saved_model.save(module, str(folder), signatures=step)
    given = {"string": ["d", "e", "f"]}.get(dtype, [1, 0, 1])
    calls = [{"x": np.array(given, object if dtype == "string" else edge)} for _ in range(CALLS)]
    for call in calls:
        step(tf.constant(call["x"], edge))  # raises where TensorFlow itself has no such op
    return calls


def converted(folder):
    """Whether the plain converter gives a file."""
    import tensorflow as tf

    try:
        return bool(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())
    except Exception:
        return False


def run_here(function, *arguments, timeout=None, tensorflow=True, **limits):
    """What ``run_isolated`` does, in this process."""
    from varhandle.sandbox.record import Record

    try:
        return Record("ok", function(*arguments))
    except Exception as error:
        return Record("raised", exception_type=type(error).__name__, message=str(error))


@contextlib.contextmanager
def in_one_process():
    """Let the tool run here what it runs in children of its own."""
    from varhandle import repair  # noqa: F401
    from varhandle.repair import run  # noqa: F401

    for name, module in list(sys.modules.items()):
        if name.startswith("varhandle.") and hasattr(module, "run_isolated"):
            module.run_isolated = run_here
    yield


def outcomes(cases):
    """Return what TensorFlow, ``diagnose``, ``cure`` and the converter do with each case.

    Each is a dictionary: ``tensorflow`` (whether it has the op at all), ``advice`` (the fix of the
    error, empty if there is none), ``cured``, ``reason`` and ``change`` (of a refusal), and
    ``converted``.
    """
    from varhandle.diagnosis import diagnose
    from varhandle.repair.refusal import NoCureError
    from varhandle.repair.run import cure

    found = {}
    with in_one_process():
        for dtype, update in cases:
            folder = Path(tempfile.mkdtemp()) / "model"
            told = found[dtype, update] = {"tensorflow": True, "reason": "", "change": ""}
            try:
                calls = save(dtype, update, folder)
            except Exception as error:
                told.update(tensorflow=False, reason=str(error))
                continue
            diagnosis = diagnose(folder, static=True)
            errors = [f for f in diagnosis.findings if f.severity == "error"]
            told["advice"] = "\n".join(finding.fix for finding in errors)
            inputs = {"x": np.stack([call["x"] for call in calls])}
            try:
                made = cure(diagnosis, inputs=None if dtype == "string" else inputs)
                told.update(cured=True, passed=made.parity.passed)
            except NoCureError as error:
                told.update(cured=False, reason=error.reason, change=error.change)
            except Exception:
                told.update(cured=False, reason=traceback.format_exc())
            told["converted"] = converted(folder) if errors else told["cured"]
    return found
