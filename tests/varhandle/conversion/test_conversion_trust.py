"""Code that a model file brings along: no door of this room runs it unless it is trusted."""

import numpy as np
import pytest

from varhandle.conversion.converter import convert
from varhandle.conversion.quantization import quantize
from varhandle.evaluate.reference import ask_model, loader_of
from varhandle.formats import read_graph
from varhandle.formats.trust import NotTrustedError
from varhandle.sandbox.lock import locking, why_no_lock

X = np.float32([[1.0, 2.0, 3.0]])


@pytest.fixture(scope="module", params=["lambda.keras", "lambda.h5"])
def marking(request, tf, tmp_path_factory):
    """A model whose Lambda layer leaves a file behind whenever it is called, and that file."""
    import keras

    folder = tmp_path_factory.mktemp("marking")
    marker = folder / "was_run"
    layer = keras.layers.Lambda(
        lambda x, marker: (__import__("pathlib").Path(marker).touch(), x * 2.0)[1],
        output_shape=(3,),
        arguments={"marker": str(marker)},
    )
    inputs = keras.Input((3,))
    keras.Model(inputs, layer(inputs)).save(folder / request.param)
    return folder / request.param, marker


@pytest.mark.parametrize(
    "use",
    [
        convert,
        lambda path: loader_of(read_graph(path)),
        lambda path: quantize(path, "int8", [X]),
        lambda path: quantize(path, "selective", [X]),
    ],
    ids=["convert", "reference", "int8", "selective"],
)
def test_a_lambda_is_not_run(marking, use):
    path, marker = marking
    marker.unlink(missing_ok=True)
    with pytest.raises(NotTrustedError, match="Lambda"):
        use(path)
    assert not marker.exists()


def test_a_lambda_that_is_trusted_runs(marking):
    """Else the tests above would show nothing."""
    path, marker = marking
    marker.unlink(missing_ok=True)
    with locking(False):
        assert convert(path, trust=True).content
        assert marker.exists()
        record = ask_model(loader_of(read_graph(path), trust=True), [{"x": X}])
    assert record.value.answers[0]["0"].tolist() == [[2.0, 4.0, 6.0]]


@pytest.mark.skipif(bool(why_no_lock()), reason=f"this kernel has no lock: {why_no_lock()}")
def test_trust_opens_the_list_and_not_the_lock(marking):
    path, marker = marking
    marker.unlink(missing_ok=True)
    assert convert(path, trust=True).record.outcome == "raised"
    assert not marker.exists()
