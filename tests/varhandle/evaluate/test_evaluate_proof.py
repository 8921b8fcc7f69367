"""The proof: what counts as rounding, and after how many calls an answer is stuck."""

import numpy as np

from varhandle.evaluate import proof
from varhandle.evaluate.parity import DELEGATES, PLAIN, Parity, Run
from varhandle.graph import Graph, Signature, TensorSpec

ONES = {"x": np.ones(4, np.float32)}


def compared(content, expected):
    calls = [{"x": np.full(4, value, np.float32)} for value in (1.0, 1.0004, 1.0008)]
    signature = Signature("serving_default", "", (), ())
    asked = proof.ReferenceCalls((signature,) * 3, calls, "given", "3 calls of yours", expected)
    parity = proof.compare(content, [asked])
    return parity, proof.rounding_note(parity)


def test_a_small_difference_is_rounding_only_where_nothing_else_is_odd(tf, converted):
    content = converted(lambda x: {"y": tf.minimum(x, 1.0)}, x=[4])
    off = [{"y": np.full(4, 1.0 + share, np.float32)} for share in (4e-4, 4e-4, 4e-4)]
    parity, reason = compared(content, off)
    assert parity.passed and "as rounding does" in reason
    wrong = Parity((Run(DELEGATES, 3, 2, "", 1.0), Run(PLAIN, 3, 2, "", 1.0)))
    assert proof.rounding_note(Parity.of_all([parity, wrong])) == ""  # of two signatures
    growing = [{"y": np.full(4, value, np.float32)} for value in (1.0, 1.0004, 1.0008)]
    parity, reason = compared(content, growing)  # no further off, but it stops where they go on
    assert not parity.passed and reason == ""
    assert all("stops changing" in run.notes[0] for run in parity.runs)


def test_an_answer_that_goes_on_or_never_moved_is_not_stuck(
    tf, converted, convert_module, counting_file
):
    assert proof._stuck_after(counting_file, ONES, None, 60.0) is None
    assert proof._stuck_after(converted(lambda x: {"y": 2.0 * x}, x=[4]), ONES, None, 60.0) is None

    class UpToFive(tf.Module):
        def __init__(self):
            self.count = tf.Variable(tf.zeros([4]), name="count")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x")])
        def __call__(self, x):
            self.count.assign(tf.minimum(self.count + x, 5.0))
            return {"count": self.count.read_value()}

    assert proof._stuck_after(convert_module(UpToFive()), ONES, None, 60.0) == 5


def test_made_up_inputs_are_no_proof_of_what_was_calibrated_with_them():
    fine = Parity((Run(DELEGATES, 3, 3, "", 1e-6), Run(PLAIN, 3, 3, "", 1e-6)))
    signature = Signature("run", "main", (TensorSpec("x", "float32", (4,)),), ())
    calls = [{"x": np.full(4, value, np.float32)} for value in range(3)]
    answers = [{"y": call["x"]} for call in calls]
    for origin in ("given", "stored", "graph", "made up"):
        asked = proof.ReferenceCalls((signature,) * 3, calls, origin, "3 calls", answers)
        for recipe in (None, "float16", "int8", "16x8"):
            told = proof.doubt(Graph("m", "saved_model", (), (), ()), [asked], fine, recipe)
            calibrated = recipe in ("int8", "16x8") and origin in ("graph", "made up")
            assert ("was calibrated and compared with 3 calls" in told) == calibrated
            assert bool(told) == calibrated
