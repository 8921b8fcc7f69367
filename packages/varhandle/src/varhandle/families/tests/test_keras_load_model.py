"""A folder that Keras 3 neither loads nor writes as a model."""

import numpy as np
import pytest
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("keras-load-model")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "ValueError: File format not supported: filepath=Models/Thai_graphclust. Keras 3 only"
        " supports V3 `.keras` files and legacy H5 format files (`.h5` extension).",
        "ValueError: The endpoint 'call' is neither an attribute of the reloaded SavedModel, nor an"
        " entry in the `signatures` field of the reloaded SavedModel. Select another endpoint via"
        " the `call_endpoint` argument. Available endpoints for this SavedModel:"
        " ['serving_default']",
        "ValueError: Invalid filepath extension for saving. Use `model.export()` if you want"
        " to export a SavedModel for use with TFLite/TFServing/etc. Received: filepath=folder.",
        "ValueError: The `save_format` argument is deprecated in Keras 3. Please remove this"
        " argument and pass a file path with either `.keras` or `.h5` extension.",
    ],
)


@pytest.fixture
def exported(tf, tmp_path):
    layers = tf.keras.layers
    model = tf.keras.Sequential([tf.keras.Input((4,), batch_size=1), layers.Dense(3)])
    model.export(tmp_path / "exported", verbose=False)
    return model, str(tmp_path / "exported")


def refused(call, *arguments, **others):
    with pytest.raises(ValueError) as caught:
        call(*arguments, **others)
    return f"ValueError: {caught.value}"


def test_a_folder_is_converted_and_called_as_is_printed(tf, exported):
    model, folder = exported
    (match,) = explain(refused(tf.keras.models.load_model, folder)).matches
    assert match.id == FAMILY.id
    assert folder.rpartition("/")[2] in match.message
    names = run(code_of(match.fix), tf=tf, keras=tf.keras, folder=folder)
    x = np.float32([[1, 2, 3, 4]])
    (answer,) = names["layer"](x).values()
    np.testing.assert_allclose(answer, model(x), rtol=1e-6)
    assert names["converter"].convert()


def test_an_endpoint_that_is_not_there(tf, exported):
    _, folder = exported
    log = refused(tf.keras.layers.TFSMLayer, folder, call_endpoint="predict")
    (match,) = explain(log).matches
    assert (match.id, "'predict'" in match.message) == (FAMILY.id, True)
    assert "its signatures are: serve, serving_default" in match.message
    assert run(code_of(match.fix), keras=tf.keras, folder=folder)["layer"]


def test_what_keras_writes(tf, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, _ = exported
    (match,) = explain(refused(model.save, "folder")).matches
    assert match.id == FAMILY.id
    assert run(code_of(match.fix), tf=tf, model=model)["converter"].convert()
    assert tf.keras.models.load_model("model.keras")
    assert ids(refused(model.save, "folder", save_format="tf")) == [FAMILY.id]
