"""Parity: right where the file is right, and wrong in every way in which a file can be."""

import json

import numpy as np
import pytest

from varhandle.evaluate import parity
from varhandle.evaluate.parity import DELEGATES, PLAIN, Parity, Run, check_parity
from varhandle.graph import ModelFileError
from varhandle.sandbox import Record

CALLS = [np.full(4, value, np.float32) for value in (1, 2, 3)]


def test_a_right_file_passes_with_and_without_delegates(running_total, counting_file):
    result = check_parity(running_total(), counting_file, CALLS)
    assert result.passed
    assert [run.agreeing for run in result.runs] == [3, 3]
    assert "the same answers" in result.text()


def test_state_is_carried_from_call_to_call(counting_file):
    """A reference without state must disagree from the second call on."""
    result = check_parity(lambda x: x, counting_file, CALLS)
    assert not result.passed
    assert result.run(DELEGATES).agreeing == 1


def test_an_answer_that_is_off_by_little_fails(running_total, counting_file):
    first, second = running_total(), running_total()
    result = check_parity(lambda x: first(x) * 1.001, counting_file, CALLS)
    assert not result.passed
    assert 0 < result.run(DELEGATES).largest_difference < 0.01
    lenient = check_parity(lambda x: second(x) * 1.001, counting_file, CALLS, tolerance=0.01)
    assert lenient.passed


def test_not_a_number_is_never_agreement(counting_file, running_total):
    module = running_total()
    calls = [*CALLS, np.full(4, np.nan, np.float32)]
    finite = check_parity(lambda x: np.nan_to_num(module(x)), counting_file, calls)
    assert not finite.passed
    assert "NaN" in finite.runs[0].notes[0]


def test_the_same_not_a_number_on_both_sides_agrees(counting_file, running_total):
    calls = [np.full(4, np.nan, np.float32)] * 2
    assert check_parity(running_total(), counting_file, calls).passed


def test_an_answer_that_stops_changing_is_noted(tf):
    frozen = tf.lite.TFLiteConverter.from_keras_model(
        tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.ReLU(max_value=1.0)])
    ).convert()
    calls = [np.full([1, 4], value, np.float32) for value in (0.5, 5, 9)]
    result = check_parity(lambda x: x, frozen, calls)
    assert "stops changing" in " ".join(result.runs[0].notes)


@pytest.fixture(scope="module")
def lost(tf, convert_module):
    """A module that does not track its layer, and its file, whose variable has no value."""

    class Wrapped(tf.Module):
        def __init__(self):
            self.dense = tf.keras.layers.Dense(3, kernel_initializer="ones")
            self.dense.build([None, 4])

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
        def __call__(self, x):
            return self.dense(x)

    module = Wrapped()
    return module, convert_module(module)


def test_an_uninitialized_variable_is_refused_by_the_plain_kernels(lost):
    result = check_parity(*lost, np.ones([1, 4], np.float32))
    assert not result.passed
    assert result.run(PLAIN).refusal == "variable != nullptr was not true."


def test_rubbish_is_a_refusal_and_no_exception(counting_file):
    for content in (b"", b"not a model", bytes(range(256)) * 9, counting_file[:900]):
        result = check_parity(lambda x: x, content, CALLS)
        assert all(run.refusal for run in result.runs) and not result.passed


def test_a_crash_is_a_failed_run(monkeypatch, counting_file, running_total):
    monkeypatch.setattr(parity, "file_answers", _abort)
    result = check_parity(running_total(), counting_file, CALLS)
    assert result.run(DELEGATES).refusal == "the process died: SIGABRT"


def _abort(*_):
    import os

    os.abort()


def test_a_path_is_read_and_a_missing_one_is_an_error(tmp_path, counting_file, running_total):
    path = tmp_path / "total.tflite"
    path.write_bytes(counting_file)
    assert check_parity(running_total(), path, CALLS).passed
    with pytest.raises(ModelFileError, match="absent"):
        check_parity(running_total(), tmp_path / "absent.tflite", CALLS)


def test_no_calls_is_an_error(counting_file, running_total):
    with pytest.raises(ValueError, match="at least one call"):
        check_parity(running_total(), counting_file, [])


@pytest.fixture(scope="module")
def two_outputs(converted):
    def both(first, second):
        return {"total": first + second, "difference": first - second}

    return both, converted(both, first=[2], second=[2])


def test_named_inputs_and_outputs_are_paired_by_name(two_outputs):
    module, content = two_outputs
    call = {"second": np.array([1, 2], np.float32), "first": np.array([5, 7], np.float32)}
    assert check_parity(module, content, call).passed
    swapped = lambda first, second: module(second, first)  # noqa: E731
    assert not check_parity(swapped, content, call).passed


def test_a_missing_output_is_said(two_outputs):
    module, content = two_outputs
    call = {"first": np.ones(2, np.float32), "second": np.ones(2, np.float32)}
    only_total = lambda first, second: module(first, second)["total"]  # noqa: E731
    result = check_parity(only_total, content, call)
    assert result.runs[0].refusal == "2 outputs where the reference has 1"


def test_quantized_inputs_and_outputs_are_compared_as_real_values(tf, to_int8):
    model = tf.keras.Sequential(
        [tf.keras.Input([4]), tf.keras.layers.Dense(2, "relu", False, "ones")]
    )
    samples = np.random.default_rng(0).uniform(0, 1, [53, 1, 4]).astype(np.float32)
    content = to_int8(tf.lite.TFLiteConverter.from_keras_model(model), samples[:50])
    calls = list(samples[50:])
    assert check_parity(model, content, calls, tolerance=0.03).passed
    assert check_parity(model, content, calls).passed  # two steps of the output's scale
    doubled = check_parity(lambda x: model(x) * 2, content, calls, tolerance=0.03)
    assert not doubled.passed


def test_output_names_are_put_in_their_natural_order():
    names = [f"output_{number}" for number in range(12)]
    assert sorted(sorted(names), key=parity._natural) == names


def test_each_output_is_held_to_its_own_dtype(tf, converted):
    def mixed(x):
        return {"a": x * 2.0, "b": tf.cast(x, tf.int32) + 1_000_000, "c": tf.exp(x)}

    content, call = converted(mixed, x=[2]), np.array([1.0, 2.0], np.float32)
    assert check_parity(mixed, content, call).passed
    off_by_fifty = check_parity(lambda x: {**mixed(x), "b": mixed(x)["b"] + 50}, content, call)
    assert not off_by_fifty.passed


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        (np.array([2**53 + 1]), np.array([2**53]), False),
        (np.array([True]), np.array([False]), False),
        (np.array([1 + 1e-6j]), np.array([1 + 0j]), True),
        (np.array([1 + 1j]), np.array([1 + 0j]), False),
        (np.ones([4]), np.ones([1]), False),
        (np.ones([2, 3]), np.ones([3]), False),
    ],
)
def test_integers_and_shapes_are_exact_and_complex_numbers_are_not(got, wanted, same):
    assert parity._difference((got, 0.0), wanted, None)[0] is same


INF, NAN, MOST = float("inf"), float("nan"), float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("got", "wanted", "note"),
    [
        ([1, NAN], [1, 2], "NaN or infinity where TensorFlow has numbers"),
        ([1, INF], [1, 2], "NaN or infinity where TensorFlow has numbers"),
        ([1, 2], [1, NAN], "numbers where TensorFlow has NaN or infinity"),
        ([1, 2], [1, INF], "numbers where TensorFlow has NaN or infinity"),
        ([1, -MOST], [1, INF], "numbers where TensorFlow has NaN or infinity"),
        ([MOST, -MOST], [INF, -INF], "the largest number of its dtype where TensorFlow has inf"),
        ([1, INF], [1, -INF], "another infinity, or NaN, than TensorFlow has"),
        ([1, INF], [1, NAN], "another infinity, or NaN, than TensorFlow has"),
        ([INF, NAN, -INF], [INF, NAN, -INF], ""),
        ([1, 2], [1, 3], ""),
    ],
)
def test_what_no_figure_tells_is_noted(got, wanted, note):
    got, wanted = np.float32(got), np.float32(wanted)
    agrees, largest, told = parity._difference((got, 0.0), wanted, None)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    assert agrees == bool(same.all())
    assert told.startswith(note) if note else told == ""
    numbers = np.isfinite(got) & np.isfinite(wanted)
    assert (largest > 0) == bool((got[numbers] != wanted[numbers]).any())
    assert np.isfinite(largest)


@pytest.mark.parametrize(
    ("got", "wanted", "largest"),
    [
        (np.array([5, 9]), np.array([5, 4]), 1.25),
        (np.array([2**60 + 1]), np.array([2**60]), 2.0**-60),
        (np.array([True]), np.array([False]), 1.0),
        (np.array([-128], np.int8), np.array([127], np.int8), 255 / 127),
        (np.array([0], np.uint8), np.array([255], np.uint8), 1.0),
    ],
)
def test_integers_that_differ_have_a_figure(got, wanted, largest):
    assert parity._difference((got, 0.0), wanted, None) == (False, pytest.approx(largest), "")


def test_text_that_differs_is_noted():
    agrees, largest, note = parity._difference((np.array([b"a"]), 0.0), np.array([b"b"]), None)
    assert (agrees, largest) == (False, 0.0)
    assert "no numbers" in note


@pytest.mark.parametrize(("size", "notes"), [(0, 1), (3, 0)])
def test_where_no_output_holds_a_value_nothing_was_compared(size, notes):
    answers = [{"y": (np.zeros([2, size], np.float32), 0.0)}] * 2
    wanted = [{"y": np.zeros([2, size], np.float32)}] * 2
    run = parity.compare_run(PLAIN, Record("ok", answers), wanted, None)
    assert [("nothing was compared" in note) for note in run.notes] == [True] * notes


def test_bfloat16_is_a_float(tf):
    got = tf.constant([1.0, 1.0078125], tf.bfloat16).numpy()
    wanted = tf.constant([1.0, 1.0], tf.bfloat16).numpy()
    assert parity._difference((got, 0.0), wanted, None)[0]
    assert not parity._difference((got, 0.0), wanted, 1e-4)[0]


def test_a_keras_model_of_two_inputs_can_be_the_reference(tf):
    first, second = tf.keras.Input([2], name="first"), tf.keras.Input([2], name="second")
    model = tf.keras.Model([first, second], first + 2 * second)
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    call = {"first": np.ones([1, 2], np.float32), "second": np.full([1, 2], 3, np.float32)}
    assert check_parity(model, content, call).passed


def test_the_callers_mistakes_are_errors_and_no_verdict(counting_file, running_total):
    with pytest.raises(KeyError, match="no signature 'tpyo'; there are: serving_default"):
        check_parity(running_total(), counting_file, CALLS, signature="tpyo")
    with pytest.raises(KeyError, match="the model takes x, and not y"):
        check_parity(lambda y: y, counting_file, {"y": CALLS[0]})
    with pytest.raises(ValueError, match="no outputs"):
        check_parity(lambda x: {}, counting_file, CALLS)
    assert check_parity(running_total(), bytearray(counting_file), CALLS).passed


def test_ready_answers_are_taken_as_they_are(counting_file):
    calls = [{"x": np.full(4, value, "float32")} for value in (1.0, 2.0)]
    right = [np.full(4, 1.0, "float32"), np.full(4, 3.0, "float32")]
    assert check_parity(right, counting_file, calls).passed
    assert not check_parity(right[::-1], counting_file, calls).passed
    assert check_parity([{"output_0": a} for a in right], counting_file, calls).passed
    with pytest.raises(ValueError, match="1 ready answers for 2 calls"):
        check_parity(right[:1], counting_file, calls)


def with_itself_compared(content, calls):
    return parity.compare_kernels(parity.run_both(content, calls, None, 60.0), 1)


def test_a_file_is_compared_with_itself(lost, counting_file):
    call = {"x": np.ones(4, "float32")}
    assert with_itself_compared(counting_file, call).passed
    with_itself = with_itself_compared(lost[1], np.ones([1, 4], "float32"))
    assert "variable != nullptr" in with_itself.run(PLAIN).refusal
    assert not with_itself.passed
    refused = with_itself_compared(b"no file", [call])
    assert all(run.refusal for run in refused.runs)


def test_a_comparison_as_data_is_fit_for_json():
    told = Parity((Run("a", 1, 2, "no\x1b", 0.5, ("odd",)), Run("b", 2, 2)), 0.1).as_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["passed"], told["tolerance"]) == (False, 0.1)
    first, second = told["runs"]
    assert first == {
        "kernels": "a",
        "agreeing": 1,
        "calls": 2,
        "largest_difference": 0.5,
        "refusal": "no\\x1b",
        "notes": ["odd"],
    }
    assert second["refusal"] is None and second["notes"] == []
