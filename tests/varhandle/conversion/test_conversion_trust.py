"""Code that a model file brings along: no door of this room runs it unless it is trusted."""

import pytest

from varhandle.conversion.converter import convert
from varhandle.conversion.quantization import quantize
from varhandle.evaluate.reference import reference_answers
from varhandle.formats.trust import NotTrustedError


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


def test_a_lambda_is_not_run_by_the_converter(marking):
    path, marker = marking
    marker.unlink(missing_ok=True)
    with pytest.raises(NotTrustedError, match="Lambda"):
        convert(path)
    assert not marker.exists()


def test_a_lambda_is_not_run_by_the_reference(marking):
    path, marker = marking
    marker.unlink(missing_ok=True)
    with pytest.raises(NotTrustedError, match="Lambda"):
        reference_answers(path, [{"x": [[1.0, 2.0, 3.0]]}])
    assert not marker.exists()


@pytest.mark.parametrize("recipe", ["int8", "selective"])
def test_a_lambda_is_not_run_by_a_recipe(marking, recipe):
    path, marker = marking
    marker.unlink(missing_ok=True)
    with pytest.raises(NotTrustedError, match="Lambda"):
        quantize(path, recipe, [[[1.0, 2.0, 3.0]]])
    assert not marker.exists()


def test_a_lambda_that_is_trusted_runs(marking):
    """Else the tests above would show nothing."""
    path, marker = marking
    marker.unlink(missing_ok=True)
    assert convert(path, trust=True).content
    assert marker.exists()
