"""The profile by op and the memory: against the file's own ops, a clock, and known sizes."""

import numpy as np
import pytest

from varhandle.evaluate.latency import Latency
from varhandle.evaluate.memory_use import measure_memory
from varhandle.evaluate.op_profile import OpProfile, OpTime, profile_ops
from varhandle.evaluate.session import Session
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError
from workbook_lib.samples import load_classifier

WIDE = 2048


@pytest.fixture(scope="module")
def uneven_file(tf, converted):
    """One small dense layer, and one that is a thousand times as large."""
    small, large = tf.ones([2, WIDE]), tf.ones([WIDE, WIDE])
    return converted(lambda x: tf.nn.softmax(tf.nn.relu(x @ small) @ large), x=[1, 2])


@pytest.fixture(scope="module")
def digits_file(tf):
    return tf.lite.TFLiteConverter.from_keras_model(load_classifier()).convert()


def test_the_large_op_takes_nearly_all(uneven_file):
    op_profile = profile_ops(uneven_file, np.ones([1, 2], np.float32))
    kinds = op_profile.by_kind()
    assert max(kinds, key=kinds.get) == "FULLY_CONNECTED"
    small, large = (one.milliseconds for one in op_profile.ops if one.op == "FULLY_CONNECTED")
    assert large > small  # by a factor of a thousand in the arithmetic, whatever the machine does


@pytest.mark.parametrize("batch", [1, 32])
def test_every_op_of_the_file_is_in_it_in_order(digits_file, batch):
    x = np.zeros([batch, 8, 8, 1], np.float32)
    op_profile = profile_ops(digits_file, x, delegates=False)
    ops = [node.op for node in read_graph(digits_file).functions[0].nodes]
    assert [one.op for one in op_profile.ops] == ops
    assert [one.position for one in op_profile.ops] == list(range(len(ops)))
    assert op_profile.untimed == ()


def test_the_sum_is_of_the_order_of_the_whole(digits_file):
    """No more than that: the machine is shared. The figure is shown beside every profile."""
    x = np.random.default_rng(0).random((128, 8, 8, 1), np.float32)
    op_profile = profile_ops(digits_file, x, delegates=False)
    assert 0.1 < op_profile.accounted < 10


def test_an_op_alone_gives_what_it_gives_in_the_whole(digits_file):
    """Run the single-op files one by one: each takes what the op before gave."""
    from varhandle.evaluate import op_profile
    from varhandle.tflite import flatbuffer

    x = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
    whole = Session(digits_file, delegates=False, keep_tensors=True)
    (answer,) = whole(x).values()
    parts = flatbuffer.unpack(digits_file, "digits")
    for operator in parts.subgraphs[0].operators:
        content, inputs = op_profile._alone(parts, 0, operator, whole.interpreter)
        assert len(content) < len(digits_file)
        alone = Session(content, strict=False, delegates=False).interpreter
        for detail, value in zip(alone.get_input_details(), inputs, strict=True):
            alone.set_tensor(detail["index"], value)
        alone.invoke()
        (detail,), (number,) = alone.get_output_details(), operator.outputs
        kept = whole.interpreter.get_tensor(number)
        np.testing.assert_array_equal(alone.get_tensor(detail["index"]), kept)
    np.testing.assert_array_equal(kept, answer)


def test_branches_go_along_with_their_op(tf, converted):
    """The branches of an IF are subgraphs of their own."""

    def branching(x):
        positive = tf.reduce_sum(x) > 0.0
        return tf.cond(positive, lambda: tf.sqrt(x), lambda: x - 1.0)

    op_profile = profile_ops(converted(branching, x=[4]), np.ones(4, np.float32))
    assert "IF" in op_profile.by_kind()
    assert op_profile.untimed == ()


def test_ops_of_a_state_are_named_and_not_timed(counting_file):
    op_profile = profile_ops(counting_file, np.ones(4, np.float32))
    assert {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"} <= set(op_profile.untimed)
    assert "ADD" in op_profile.by_kind()
    assert "not timed: " in op_profile.text()
    assert "not timed" in op_profile.html()


def test_another_signature_than_the_main_one(tf, tmp_path):
    class Pair(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
        def first(self, x):
            return {"y": tf.exp(x)}

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
        def second(self, x):
            return {"y": tf.sin(x)}

    module = Pair()
    signatures = {
        name: getattr(module, name).get_concrete_function() for name in ("first", "second")
    }
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    for name, op in (("first", "EXP"), ("second", "SIN")):
        op_profile = profile_ops(content, np.ones(2, np.float32), signature=name)
        assert [one.op for one in op_profile.ops] == [op]


def test_the_figures_of_a_profile():
    ops = (OpTime(0, "ADD", 1.0), OpTime(1, "MUL", None), OpTime(2, "ADD", 3.0))
    op_profile = OpProfile(ops, Latency(5.5, 5.0, 6.0, 9), call_cost=0.5)
    assert op_profile.total == 4.0
    assert op_profile.accounted == pytest.approx(0.8)
    assert op_profile.by_kind() == {"ADD": 4.0}
    assert op_profile.text().splitlines()[2].split() == ["2", "ADD", "3.0000", "75%"]
    assert "80% accounted for" in repr(op_profile)
    many = OpProfile(tuple(OpTime(n, "ADD", 1.0) for n in range(20)), op_profile.whole, 0.5)
    assert "8 more" in many.text()
    assert "8.0000" in many.text()


def test_memory_is_that_of_known_sizes(uneven_file):
    memory = measure_memory(uneven_file, np.ones([1, 2], np.float32))
    weights = 4 * WIDE * (WIDE + 2)
    assert memory.file == len(uneven_file)
    assert weights <= memory.weights < 1.01 * weights
    # x, then the two layers' outputs and the softmax of the second
    assert memory.activations == 4 * (2 + 3 * WIDE)
    assert 0 < memory.opened <= memory.ran
    assert "KiB" in repr(memory)
    assert f"{len(uneven_file) / 1024:,.0f}" in memory.text()
    assert "<table" in memory.html()


def test_memory_grows_with_the_batch(digits_file):
    one, many = (
        measure_memory(digits_file, np.zeros([batch, 8, 8, 1], np.float32)) for batch in (1, 512)
    )
    assert many.weights == one.weights
    assert 256 * one.activations < many.activations <= 512 * one.activations
    assert many.ran > one.ran


def test_memory_of_what_is_no_model(tmp_path, digits_file):
    path = tmp_path / "cut.tflite"
    path.write_bytes(digits_file[:999])
    with pytest.raises(ModelFileError, match=r"cut\.tflite: "):
        measure_memory(path)
    with pytest.raises(RuntimeError, match=r"could not be measured: .*takes shape"):
        measure_memory(digits_file, np.zeros(3))
