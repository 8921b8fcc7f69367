"""Every quantization recipe, once: what it sets on the converter, what it needs, what it may cost.

A new recipe goes here, as one more ``Recipe`` in ``RECIPES``, with its dtypes in
``tests/varhandle/conversion/test_conversion_quantization.py``. No other module knows what a recipe
is by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from varhandle.errors import VarhandleError


@dataclass(frozen=True, eq=False)
class ConverterSettings:
    """What to set on a ``TFLiteConverter``, as plain data that goes to another process.

    Every field has the converter's own name and default. Enums and dtypes are given by name, so
    that no TensorFlow is needed to write them down. A call of the calibration is a list of arrays
    in the order of the inputs, or a mapping of input name to array; with several signatures, a pair
    of signature key and mapping.
    """

    optimizations: tuple[str, ...] = ()  # names in ``tf.lite.Optimize``: "DEFAULT" quantizes
    representative_dataset: Sequence[Any] | None = None  # the calls of the calibration
    supported_ops: tuple[str, ...] = ("TFLITE_BUILTINS",)  # names in ``tf.lite.OpsSet``
    supported_types: tuple[str, ...] = ()  # dtypes that constants may have
    inference_input_type: str = "float32"
    inference_output_type: str = "float32"
    serialize_debug_metadata: bool = False  # the nodes that each operator was made from
    unfold_batchmatmul: bool = False  # whether a product of matrices becomes FULLY_CONNECTED
    keep_infinities: bool = False  # whether a constant may be infinite


@dataclass(frozen=True, eq=False)
class Recipe:
    """A way to quantize, as data.

    The tolerance is the largest error of an answer, as a share of the range of all of TensorFlow's
    answers. One int8 step is 1/255 of a range, and errors add up over layers and calls: 0.1 is some
    25 steps. More than that is no longer rounding, but a range that calibration never met, or a
    state that saturates.
    """

    name: str  # what a user writes
    what: str  # what it does, in a few words
    settings: ConverterSettings  # what to set on the converter, the calibration data aside
    activation_bits: int  # of what flows between the ops; 32 is float32
    tolerance: float
    calibrated: bool = False  # whether it needs a representative dataset
    selective: bool = False  # whether TensorFlow's quantization debugger leaves layers in float
    fits_tflite: bool = False  # whether the quantizer can apply it to a converted file

    @property
    def float_inputs(self) -> bool:
        """Whether the file takes and gives float32."""
        return self.settings.inference_input_type == "float32"

    def __repr__(self) -> str:
        return f"Recipe({self.name}: {self.what})"


_DEFAULT = ConverterSettings(optimizations=("DEFAULT",))
_INT8 = replace(_DEFAULT, supported_ops=("TFLITE_BUILTINS_INT8",))
_16X8 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"

_ALL = (
    Recipe("float32", "nothing is quantized", ConverterSettings(), 32, 0.0),
    Recipe(
        "dynamic range",
        "int8 weights, float32 activations between the kernels",
        _DEFAULT, 32, 0.05,
    ),
    Recipe(
        "float16",
        "float16 weights, float32 arithmetic",
        replace(_DEFAULT, supported_types=("float16",)), 32, 0.01,
    ),
    Recipe(
        "int8",
        "int8 weights and activations, int8 inputs and outputs",
        replace(_INT8, inference_input_type="int8", inference_output_type="int8"), 8, 0.1,
        calibrated=True, fits_tflite=True,
    ),
    Recipe(
        "int8, float inputs",
        "int8 weights and activations, float32 inputs and outputs",
        _INT8, 8, 0.1,
        calibrated=True, fits_tflite=True,
    ),
    Recipe(
        "16x8",
        "int8 weights, int16 activations, float32 inputs and outputs",
        replace(_INT8, supported_ops=(_16X8,)), 16, 0.02,
        calibrated=True, fits_tflite=True,
    ),
    Recipe(
        "selective",
        "int8 with float32 inputs and outputs, chosen layers in float32",
        _INT8, 8, 0.1,
        calibrated=True, selective=True,
    ),
)  # fmt: skip

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
"""Name to recipe, the unquantized file first."""


TAKE_ANOTHER = "take another recipe, or bring inputs as the model will meet them to calibrate with"
"""What to do where a recipe makes no file, or one that answers otherwise."""


class UnknownRecipeError(VarhandleError, ValueError):
    """There is no such recipe; the message lists those that there are."""


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name; :class:`UnknownRecipeError` if there is none."""
    if name not in RECIPES:
        raise UnknownRecipeError(f"no recipe {name!r}; there are: {', '.join(map(repr, RECIPES))}")
    return RECIPES[name]


def requested_recipe(name: str | None) -> str | None:
    """Return the name of the recipe that a user asked for; ``None`` for a float file.

    ``None``, ``"none"`` and ``"float32"`` all ask for a float file. Any other name that is no
    recipe raises :class:`UnknownRecipeError`.
    """
    return None if name in (None, "none", "float32") else find_recipe(str(name)).name


def needs_calibration(name: str | None) -> bool:
    """Whether a recipe needs inputs to calibrate with; ``None`` quantizes nothing."""
    return name is not None and RECIPES[name].calibrated
