"""The proof: what counts as rounding, and after how many calls an answer is stuck."""

import numpy as np

from varhandle.evaluate import proof
from varhandle.graph import Signature

ONES = {"x": np.ones(4, np.float32)}


def compared(content, expected):
    calls = [{"x": np.full(4, value, np.float32)} for value in (1.0, 1.0004, 1.0008)]
    signature = Signature("serving_default", "", (), ())
    asked = proof.Asked((signature,) * 3, calls, "given", "3 calls of yours", expected)
    parity = proof.compare(content, [asked])
    return parity, proof.rounded(parity)


def test_a_small_difference_is_rounding_only_where_nothing_else_is_odd(tf, converted):
    content = converted(lambda x: {"y": tf.minimum(x, 1.0)}, x=[4])
    off = [{"y": np.full(4, 1.0 + share, np.float32)} for share in (4e-4, 4e-4, 4e-4)]
    parity, reason = compared(content, off)
    assert parity.passed and "as rounding does" in reason
    growing = [{"y": np.full(4, value, np.float32)} for value in (1.0, 1.0004, 1.0008)]
    parity, reason = compared(content, growing)  # no further off, but it stops where they go on
    assert not parity.passed and reason == ""
    assert all("stops changing" in run.notes[0] for run in parity.runs)


def test_an_answer_that_goes_on_to_the_last_call_is_not_stuck(tf, convert_module, counting_file):
    assert proof._stuck_after(counting_file, ONES, None, 60.0) is None

    class UpToFive(tf.Module):
        def __init__(self):
            self.count = tf.Variable(tf.zeros([4]), name="count")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32, "x")])
        def __call__(self, x):
            self.count.assign(tf.minimum(self.count + x, 5.0))
            return {"count": self.count.read_value()}

    assert proof._stuck_after(convert_module(UpToFive()), ONES, None, 60.0) == 5
