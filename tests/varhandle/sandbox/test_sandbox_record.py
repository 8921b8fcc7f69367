"""What a record says of an error in one line."""

import numpy as np
import pytest

from varhandle.sandbox.record import last_words, short_message


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


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("no memory\nI0000 00:00:17.5 1 port.cc:153] on\n\n", "no memory"),
        ("WARNING: All log messages before\nW0000 00:00:17.5 1 a.cc:1] b\n", ""),
        ("F0000 00:00:17.5 1 a.cc:9] Check failed: n > 0\nE0000 00:00:17.5 1 b.cc:1] c", "n > 0"),
    ],
)
def test_the_last_words_are_no_line_of_logging(log, words):
    assert last_words(log).endswith(words)
    assert bool(last_words(log)) is bool(words)
