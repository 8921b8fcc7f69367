"""The format that lesson 23 adds to an older Keras, held to what the newer Keras writes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from family_checks import exports_litert

from varhandle import read_graph
from workbook_lib import older_keras
from workbook_lib.lesson.checks import four_doors


def in_training_mode():
    x = keras.Input([4], batch_size=1)
    return keras.Model(x, keras.layers.BatchNormalization()(x, training=True))


@pytest.fixture
def exports(monkeypatch):
    """Return the ways to export: Keras's own, and the one that an older Keras is given."""
    own = older_keras._own_export
    monkeypatch.setattr(keras.Model, "export", own)  # and put back afterwards
    monkeypatch.setattr(older_keras, "find_spec", lambda name: None)
    older_keras.add_litert_format()
    assert keras.Model.export is not own
    return own, keras.Model.export


def written(export, make, path, **options):
    keras.utils.clear_session()  # or the second model's names would have other numbers
    keras.utils.set_random_seed(0)
    export(make(), path, format="litert", verbose=False, **options)
    return path.read_bytes()


@exports_litert
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: four_doors._counter("float32"), {}),
        (in_training_mode, {}),
        (zoo.dense_model, {}),
        (zoo.dense_model, {"input_signature": keras.InputSpec("float32", (2, 4))}),
        (zoo.dense_model, {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}),
    ],
    ids=["state", "training", "plain", "signature", "target_spec"],
)
def test_the_file_is_the_one_that_keras_writes(exports, tmp_path, make, options):
    by_keras, by_us = (written(each, make, tmp_path / "m.tflite", **options) for each in exports)
    assert by_us == by_keras


@exports_litert
def test_flex_ops_are_allowed_as_keras_allows_them(exports, tmp_path):
    """TensorFlow numbers a function in such a file anew each time, so only the ops are compared."""

    def make():
        return four_doors._counter("float16")

    by_keras, by_us = (
        [node.op for node in read_graph(content).functions[0].nodes]
        for content in (written(each, make, tmp_path / "m.tflite") for each in exports)
    )
    assert by_us == by_keras and "FlexVarHandleOp" in by_us


@exports_litert
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m.tflite", {"supported_ops": []}),
        ("m.tflite", {"target_spec": {"ops": []}}),
        ("m.lite", {}),
    ],
)
def test_what_keras_refuses_is_refused_in_its_words(exports, tmp_path, name, options):
    said = []
    for export in exports:
        with pytest.raises(ValueError) as raised:
            written(export, zoo.dense_model, tmp_path / name, **options)
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert not (tmp_path / name).exists()


@exports_litert
@pytest.mark.parametrize(
    ("verbose", "interactive"),
    [(None, True), (True, True), (False, True), (0, True), (None, False), (True, False)],
)
def test_it_says_what_keras_says(  # noqa: PLR0917
    exports, tmp_path, capsys, monkeypatch, verbose, interactive
):
    from keras.src.export import litert

    monkeypatch.setattr(litert.LiteRTExporter, "export", lambda *_: None)
    monkeypatch.setattr(older_keras, "_convert", lambda *_: b"")
    said = []
    try:
        if not interactive:
            keras.config.disable_interactive_logging()
        for export in exports:
            export(zoo.dense_model(), tmp_path / "m.tflite", format="litert", verbose=verbose)
            said.append(capsys.readouterr().out)
    finally:
        keras.config.enable_interactive_logging()
    assert said[0] == said[1]


@exports_litert
def test_a_keras_that_has_the_format_is_left_alone():
    own = keras.Model.export
    older_keras.add_litert_format()
    assert keras.Model.export is own


def test_the_other_formats_stay_kerass(exports, tmp_path):
    model = zoo.dense_model()
    exports[1](model, tmp_path / "saved", verbose=False)
    x = np.ones((1, 4), np.float32)
    saved = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(saved.serve(x), model(x), rtol=1e-5)
    with pytest.raises(ValueError, match="Unrecognized format=tflite"):
        exports[1](model, tmp_path / "m.tflite", format="tflite")
