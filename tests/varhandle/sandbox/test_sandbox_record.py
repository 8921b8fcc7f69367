"""What a record says of an error in one line."""

import numpy as np
import pytest

from varhandle.sandbox.record import short_message


def complaint(call, *arguments):
    with pytest.raises(Exception) as refused:
        call(*arguments)
    return short_message(str(refused.value))


def test_the_line_that_says_why_is_told_and_not_those_that_say_where(tf):
    import keras

    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Conv1D(3, 9)])
    x = np.zeros([1, 4, 2], "float32")
    traced = tf.function(lambda x: model(x) + 1.0)
    assert complaint(traced, x).startswith("Negative dimension size caused by subtracting 9 from 4")
    assert complaint(model, x).startswith("Computed output size would be negative")

    @tf.function
    def own(x):
        raise LookupError("no such row")

    assert complaint(own, x) == "LookupError: no such row"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("one\ntwo", "one"),
        ("\n  \nlate", "late"),
        ("", ""),
        ("in user code:\n\n", "in user code:"),
        ("Exception encountered when calling A.call().\n\n", "Exception encountered when calling"),
    ],
)
def test_a_message_without_more_is_told_as_it_is(message, told):
    assert short_message(message).startswith(told)
    assert bool(short_message(message)) == bool(told)
