"""Checks of lesson 35."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from varhandle.tflite.flatbuffer import op_name, pack, unpack
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect
from workbook_lib.samples import load_classifier, load_digits

_NAMES = ("edges", "shrink", "strokes", "flatten", "digit")


@exercise("find_the_op/faulty-layer")
def faulty_layer(function: Any) -> str:
    """Name the first layer whose outputs differ.

    1. For one layer, `wanted[name]` and `got[name]` are arrays of the same shape. Are all numbers
       of the two alike?
    2. `np.allclose` compares whole arrays. Which tolerance does float32 need, and what does it say
       of a NaN?
    3. A NaN is neither larger nor smaller than 1e-4. Ask whether all numbers are close, and turn
       the answer round.
    """
    for (_, place), (wanted, got) in zip(_FAULTS, _compared(), strict=True):
        try:
            answer = attempt(function, _copied(wanted), _copied(got))
        except Wrong as nothing:
            if place != "none":
                raise
            raise Wrong(f'{nothing} Where all layers agree, return the text `"none"`.') from nothing
        expect(answer, str, 'the name of a layer, or `"none"`')
        if answer != place:
            raise Wrong(_what_is_wrong(answer, place, wanted, got))
    return (
        "Name by name, the first that differs: `locate` does the same for every op, and looks at "
        "the inputs of each besides."
    )


def _what_is_wrong(answer: str, place: str, wanted: dict[str, Any], got: dict[str, Any]) -> str:
    if answer not in (*_NAMES, "none"):
        return f"{answer!r} is no layer of the model. They are {', '.join(_NAMES)}."
    if place == "none":
        most = max(float(np.abs(got[name] - wanted[name]).max()) for name in _NAMES)
        return (
            f"A file without a fault was called faulty in {answer}. No output differs by more than "
            f"{most:.0e}, and that is rounding."
        )
    largest = float(np.abs(got[place] - wanted[place]).max())
    if answer == "none" and np.isnan(largest):
        return f"A fault in {place} was missed: the file gives NaN there. How is NaN compared?"
    if answer == "none" or _NAMES.index(answer) > _NAMES.index(place):
        images = [n for n in range(len(wanted[place])) if not _agree(wanted, got, place, n)]
        seen = "" if len(images) == len(wanted[place]) else f", of image {images[0]} for one,"
        return (
            f"The fault is in {place}: its outputs{seen} differ by up to {largest:.1g}. Your "
            f"answer is {answer}."
        )
    return f"The fault is in {place}, and {answer} comes before it. Its outputs agree, to rounding."


def _agree(wanted: dict[str, Any], got: dict[str, Any], name: str, image: int) -> bool:
    return bool(np.allclose(got[name][image], wanted[name][image], atol=1e-4))


def _copied(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.copy() for name, value in outputs.items()}


def _without_relu(model: Any) -> None:
    _of(model, "CONV_2D")[1].builtinOptions.fusedActivationFunction = 0


def _average(model: Any) -> None:
    """Have the pooling take the mean of four numbers in place of the largest."""
    code = model.operatorCodes[_of(model, "MAX_POOL_2D")[0].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.AVERAGE_POOL_2D


def _other_sign(model: Any) -> None:
    _change(model, _of(model, "CONV_2D")[0], lambda weights: -weights)


def _not_a_number(model: Any) -> None:
    _change(model, _of(model, "CONV_2D")[1], lambda weights: weights * np.nan)


def _blind_class(model: Any) -> None:
    """Blind the file to the digit 0: the first and the last image of the check are others."""
    _change(model, _of(model, "FULLY_CONNECTED")[0], lambda weights: 0 * weights)


def _exchanged(model: Any) -> None:
    """Exchange two channels: their mean, their sum and their largest number stay."""
    for place in (1, 2):
        _change(model, _of(model, "CONV_2D")[1], lambda rows: rows[::-1], (2, 4), place)


def _doubled(model: Any) -> None:
    """Double what a layer gives: its largest number stays where it is, and so do the signs."""
    for place in (1, 2):
        _change(model, _of(model, "CONV_2D")[0], lambda rows: 2 * rows, (0, None), place)


def _nudged(model: Any) -> None:
    """Add so little to one channel that a generous tolerance lets it through."""
    _change(model, _of(model, "CONV_2D")[0], lambda rows: rows + 0.05, place=2)


_FAULTS = (
    (None, "none"),
    (_without_relu, "strokes"),
    (_average, "shrink"),
    (_other_sign, "edges"),
    (_not_a_number, "strokes"),
    (_blind_class, "digit"),
    (_exchanged, "strokes"),
    (_doubled, "edges"),
    (_nudged, "edges"),
)


def _of(model: Any, op: str) -> list[Any]:
    return [one for one in model.subgraphs[0].operators if op_name(model, one) == op]


def _change(
    model: Any,
    operator: Any,
    change: Any,
    channels: tuple[int, int | None] = (0, 1),
    place: int = 1,
) -> None:
    """Change the weights for some channels of what an operator gives, or, at 2, its biases."""
    tensor = model.subgraphs[0].tensors[operator.inputs[place]]
    buffer = model.buffers[tensor.buffer]
    rows = np.array(buffer.data, np.uint8).view(np.float32).reshape(tensor.shape[0], -1)
    rows[slice(*channels)] = change(rows[slice(*channels)].copy())
    buffer.data = rows.view(np.uint8).ravel()


@cache
def _compared() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return for each fault what the layers give in Keras, and in a file that has the fault."""
    classifier, images = load_classifier(), load_digits().test_images[[60, 0, 9, 12, 64]]
    by_name = [classifier.get_layer(name).output for name in _NAMES]
    outputs = tf.keras.Model(classifier.inputs, by_name)([images])
    wanted = dict(zip(_NAMES, (np.asarray(output) for output in outputs), strict=True))
    content = _file(classifier)
    compared = []
    for fault, _ in _FAULTS:
        edited = unpack(content)
        if fault is not None:
            fault(edited)
        compared.append((wanted, _outputs(pack(edited), images, wanted)))
    return compared


def _file(classifier: Any) -> bytes:
    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 1], name="image")], autograph=False)
    def call(image: Any) -> Any:
        return classifier(image, training=False)

    owner = tf.Module()
    owner.call, owner.held = call, [variable.value for variable in classifier.variables]
    functions = [call.get_concrete_function()]
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions(functions, owner).convert())


def _outputs(content: bytes, images: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the layers give in a file, image by image."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    places = {"digit": interpreter.get_output_details()[0]["index"]}
    for name in _NAMES[:-1]:
        shape = [1, *wanted[name].shape[1:]]
        for tensor in interpreter.get_tensor_details():
            if f"/{name}" in tensor["name"] and tensor["shape"].tolist() == shape:
                places[name] = tensor["index"]
    found: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
        interpreter.invoke()
        for name in _NAMES:
            found[name].append(interpreter.get_tensor(places[name])[0])
    return {name: np.array(values) for name, values in found.items()}
