"""Example calls: made up in the dtype and shape of a signature, or taken from the caller."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varhandle.evaluate.example_inputs import MOST_VALUES, CallsError, load_calls, make_calls
from varhandle.graph import Signature, TensorSpec


def signature(*specs):
    return Signature("s", "f", tuple(TensorSpec(*spec) for spec in specs), ())


def test_calls_have_the_dtype_and_shape_of_the_signature():
    wanted = signature(("x", "float32", (2, 3)), ("n", "int64", ()), ("b", "bool", (4,)))
    calls = make_calls(wanted, 5)
    assert len(calls) == 5
    for call in calls:
        assert {name: (a.dtype.name, a.shape) for name, a in call.items()} == {
            "x": ("float32", (2, 3)),
            "n": ("int64", ()),
            "b": ("bool", (4,)),
        }


DTYPES = ["float16", "bfloat16", "float64", "complex64", "complex128", "int8", "uint8", "int16"]


def test_each_dtype_can_be_made_up():
    for dtype in (*DTYPES, "uint16", "int32", "uint32", "uint64"):
        (call,) = make_calls(signature(("x", dtype, (3,))), 1)
        assert call["x"].dtype.name == dtype


def test_strings_are_bytes_and_integers_may_be_indices():
    wanted = signature(("s", "string", (50,)), ("i", "int32", (50,)))
    (call,) = make_calls(wanted, 1)
    assert all(isinstance(word, bytes) for word in call["s"])
    assert set(call["i"].tolist()) == {0, 1}


def test_the_same_calls_are_made_each_time_and_each_call_is_another():
    wanted = signature(("x", "float32", (4,)))
    first, again = (np.stack([call["x"] for call in make_calls(wanted, 5)]) for _ in "ab")
    assert np.array_equal(first, again)
    assert len(np.unique(first)) == first.size


@pytest.mark.parametrize(("shape", "made"), [((None, 3), (1, 3)), (None, (1,)), ((), ())])
def test_what_is_not_known_is_one(shape, made):
    (call,) = make_calls(signature(("x", "float32", shape)), 1)
    assert call["x"].shape == made


def test_no_inputs_make_empty_calls():
    assert make_calls(signature(), 3) == [{}, {}, {}]


@pytest.mark.parametrize("spec", [("x", "resource", ()), ("x", "variant", ()), ("x", "\x1b", ())])
def test_what_holds_no_values_is_refused(spec):
    with pytest.raises(CallsError, match="input x is") as refused:
        make_calls(signature(spec), 1)
    assert "\x1b" not in str(refused.value)


def test_an_input_that_fills_the_memory_is_refused_and_not_made():
    with pytest.raises(CallsError, match="too many to make up"):
        make_calls(signature(("x", "bool", (MOST_VALUES + 1,))), 1)
    assert make_calls(signature(("x", "bool", (MOST_VALUES // 64,))), 1)


# Inputs of one's own.

TWO = signature(("x", "float32", (None, 2)), ("n", "int32", ()))


def test_the_first_axis_counts_the_calls(tmp_path):
    arrays = {"x": np.arange(12.0).reshape(3, 2, 2), "n": np.array([7, 8, 9])}
    np.savez(tmp_path / "calls.npz", **arrays)
    for inputs in (arrays, tmp_path / "calls.npz", str(tmp_path / "calls.npz")):
        calls = load_calls(inputs, TWO)
        assert [call["n"].tolist() for call in calls] == [7, 8, 9]
        assert calls[1]["x"].tolist() == [[4.0, 5.0], [6.0, 7.0]]
        assert {call["x"].dtype.name for call in calls} == {"float32"}
        assert {call["n"].dtype.name for call in calls} == {"int32"}


def test_text_becomes_bytes():
    (call, _) = load_calls({"s": np.array([["ä"], ["b"]])}, signature(("s", "string", (1,))))
    assert call["s"].tolist() == ["ä".encode()]


GOOD = {"x": np.zeros([2, 1, 2], "float32"), "n": np.zeros(2, "int32")}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"y": np.zeros(2)}, "takes n, x, and not n, x, y"),
        ({"x": np.zeros([2, 1, 3], "float32")}, r"shape \[-1, 2\], and not \[1, 3\]"),
        ({"x": np.zeros([2, 3], "float32")}, r"shape \[-1, 2\], and not \[3\]"),
        ({"n": np.zeros(2)}, "n takes int32, and not float64"),
        ({"n": np.int32(3)}, "no first axis"),
        ({"n": np.zeros(3, "int32")}, "count the same calls"),
        ({"n": np.array(["a", "b"])}, "n takes int32"),
        ({"x": np.zeros([0, 1, 2], "float32"), "n": np.zeros(0, "int32")}, "at least one"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, fault):
    with pytest.raises(CallsError, match=fault):
        load_calls({**GOOD, **change}, TWO)


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "evil.npz", x=np.array([object()], dtype=object))
    with pytest.raises(CallsError, match=r"evil\.npz"):
        load_calls(tmp_path / "evil.npz", signature(("x", "string", ())))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_file_gets_one_line(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("calls") / "calls.npz"
    np.savez(path, x=np.arange(4, dtype="float32"))
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        load_calls(path, signature(("x", "float32", ())))
    except CallsError as error:
        assert "\n" not in str(error)
