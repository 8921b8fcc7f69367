"""What every reproduction is written with; begins the script that the version matrix runs.

That script is this file, the sources of the reproductions, and a call of ``main``. It runs with
nothing but TensorFlow installed, from 1.15 on, so this file imports nothing of this project. It and
the functions that ``case`` and ``script_part`` mark use no syntax younger than Python 3.6.
"""

import json
import os
from typing import Any, Callable, Dict, List, Tuple

Answers = Tuple[List[List[float]], List[List[float]]]
"""What the interpreter said, and what TensorFlow said, call by call."""

CASES: Dict[str, "Case"] = {}
SCRIPT_PARTS: List[Callable[..., Any]] = []
"""The functions of the script, in its order."""


class Trace:
    """A reproduction as it runs: what it is made with, and what becomes of it.

    ``stage`` is how far it has got: ``build``, ``save``, ``convert``, ``load`` or ``run``. It may
    write into ``folder``, and its answers must agree within ``tolerance``.
    """

    def __init__(self) -> None:
        import tempfile

        self.folder = tempfile.mkdtemp()
        self.stage = "build"
        self.tolerance = 1e-4
        self._tf: Any = None

    @property
    def tf(self) -> Any:
        """TensorFlow, with the behavior of its second version."""
        if self._tf is None:
            import tensorflow as module

            if module.__version__.startswith("1."):
                module.compat.v1.enable_v2_behavior()
            self._tf = module.compat.v2
        return self._tf

    def module(self, step: Callable[[Any, Any], Any], **values: Any) -> Any:
        """Return a module with a variable for each value; its call is a step on itself and on x."""
        tf: Any = self.tf

        class Model(tf.Module):
            def __init__(self) -> None:
                super().__init__()
                for name, value in values.items():
                    setattr(self, name, tf.Variable(value, name=name))

            @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
            def __call__(self, x: Any) -> Any:
                return step(self, x)

        return Model()

    def running_total(self, dtype: str = "float32") -> Any:
        """Return a module that adds what it is given to a variable of some dtype."""
        tf = self.tf

        def step(module: Any, x: Any) -> Any:
            module.total.assign(module.total + tf.cast(x, dtype))
            return tf.cast(module.total, tf.float32)

        return self.module(step, total=tf.zeros([4], dtype))

    def saved(self, module: Any) -> Any:
        """Save a module, and return the converter of what was saved."""
        self.stage = "save"
        signature = module.__call__.get_concrete_function()
        self.tf.saved_model.save(module, self.folder, signatures=signature)
        return self.tf.lite.TFLiteConverter.from_saved_model(self.folder)

    def convert(self, converter: Any) -> bytes:
        """Convert."""
        self.stage = "convert"
        content: bytes = converter.convert()
        return content

    def compare(self, content: bytes, reference: Any, shape: Tuple[int, ...] = (4,)) -> Answers:
        """Give the interpreter and the reference (of a NumPy array) the same three inputs."""
        import numpy as np

        self.stage = "load"
        interpreter = self.tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        self.stage = "run"
        got, expected = [], []
        for call in range(1, 4):
            x = np.full(shape, call, np.float32)
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
            interpreter.invoke()
            answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            got.append([float(value) for value in np.ravel(answer)])
            expected.append([float(value) for value in np.ravel(reference(x))])
        return got, expected

    def convert_saved(self, module: Any, shape: Tuple[int, ...] = (4,)) -> Answers:
        """Save a module, convert it, and compare."""
        return self.compare(self.convert(self.saved(module)), module, shape)

    def convert_function(
        self, function: Any, reference: Any, shape: Tuple[int, ...] = (4,)
    ) -> Answers:
        """Convert a function alone, without the object that owns its variables, and compare."""
        concrete = function.get_concrete_function()
        converter = self.tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        return self.compare(self.convert(converter), reference, shape)

    def convert_lstm(self, **batch: Any) -> Answers:
        """Convert a Keras LSTM with a batch of some size, and compare."""
        keras = self.tf.keras
        x = keras.Input(shape=(3, 1), **batch)
        layer = keras.layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="ones")
        model = keras.Model(x, layer(x))
        self.stage = "convert"
        converter = self.tf.lite.TFLiteConverter.from_keras_model(model)
        return self.compare(self.convert(converter), model, shape=(1, 3, 1))

    def convert_total(self, dtype: str, **settings: Any) -> Answers:
        """Save a running total of a dtype, convert it with settings of the converter, compare."""
        module = self.running_total(dtype)
        converter = self.saved(module)
        self.stage = "convert"
        for name, value in settings.items():
            if not hasattr(converter, name):
                raise NotOfferedError("no " + name + " in this release")
            setattr(converter, name, value)
        return self.compare(self.convert(converter), module)


class NotOfferedError(Exception):
    """The release under test has no such setting."""


class Case:
    """A reproduction: its id, its title in the version matrix, and its program.

    ``drawn`` says whether it belongs to the picture of lesson 92.
    """

    def __init__(
        self, identifier: str, title: str, drawn: bool, program: Callable[[Trace], Answers]
    ) -> None:
        self.id = identifier
        self.title = title
        self.drawn = drawn
        self.program = program


def script_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take a function that several reproductions share into the script."""
    SCRIPT_PARTS.append(function)
    return function


def case(
    identifier: str, title: str, drawn: bool = False
) -> Callable[[Callable[[Trace], Answers]], Case]:
    """Make a reproduction of a function."""

    def register(program: Callable[[Trace], Answers]) -> Case:
        SCRIPT_PARTS.append(program)
        CASES[identifier] = Case(identifier, title, drawn, program)
        return CASES[identifier]

    return register


def run_case(identifier: str) -> Dict[str, Any]:
    """Run a reproduction; return plain values.

    ``outcome`` is ``works``, ``error``, ``wrong`` (it ran, and answered something else than
    TensorFlow) or ``absent`` (the release has no such setting); ``errors`` holds pairs of an op and
    an error code.
    """
    trace = Trace()
    result: Dict[str, Any] = {"exception": "", "message": "", "errors": []}
    try:
        got, expected = CASES[identifier].program(trace)
        result["outcome"] = "works" if _agree(got, expected, trace.tolerance) else "wrong"
    except Exception as error:  # any failure is a result here
        outcome = "absent" if isinstance(error, NotOfferedError) else "error"
        result.update(outcome=outcome, exception=type(error).__name__, message=str(error))
        result["errors"] = _op_errors(error)
    finally:
        import shutil

        shutil.rmtree(trace.folder, ignore_errors=True)
    result["stage"] = trace.stage
    return result


def _agree(got: List[List[float]], expected: List[List[float]], tolerance: float) -> bool:
    pairs = [(g, e) for a, b in zip(got, expected) for g, e in zip(a, b)]
    return bool(pairs) and all(_is_near(g, e, tolerance) for g, e in pairs)


def _is_near(got: float, expected: float, tolerance: float) -> bool:
    import math

    if got == expected or (math.isnan(got) and math.isnan(expected)):
        return True
    return abs(got - expected) <= tolerance * (1 + abs(expected)) < float("inf")


def _op_errors(error: Exception) -> List[Tuple[str, str]]:
    pairs = set()
    for entry in getattr(error, "errors", None) or ():
        pairs.add((entry.operator.name, type(entry).ErrorCode.Name(entry.error_code)))
    return sorted(pairs)


def main(identifiers: List[str]) -> None:
    """Run reproductions, and print one JSON object a line (``CASE {...}``)."""
    import logging

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for identifier in identifiers:
        print("CASE " + json.dumps({"id": identifier, **run_case(identifier)}), flush=True)
