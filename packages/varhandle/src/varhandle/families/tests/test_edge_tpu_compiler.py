"""What the compiler of the Edge TPU leaves to the CPU, or does not compile."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("edge-tpu-compiler")
HEAD = "Edge TPU Compiler version 16.0.384591198\nStarted a compilation timeout timer.\n"
TABLE = "Operator   Count   Status\n\nMUL   1   Mapped to Edge TPU\n"
SOME = (
    "Model successfully compiled but not all operations are supported by the Edge TPU. A percentage"
    " of the model will instead run on the CPU, which is slower."
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        f"{HEAD}ERROR: Restored original execution plan after delegate application failure.\n"
        "Compilation failed: Compilation failed due to large activation tensors in model.",
        f"{TABLE}ADD   2   More than one subgraph is not supported",
        f"{TABLE}RESHAPE   3   Operation is otherwise supported, but not mapped due to some"
        " unspecified limitation",
        f"{TABLE}RESIZE_BILINEAR   2   Operation version not supported",
        f"{TABLE}CONV_2D   5   Operation is working on an unsupported data type",
        f"{TABLE}TRANSPOSE   1   Tensor has unsupported rank (up to 3 innermost dimensions mapped)",
        f"{SOME}\nNumber of operations that will run on Edge TPU: 0",
        f"{HEAD}Internal compiler error. Aborting!",
    ],
)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Compilation failed due to large activation tensors in model.", "8 MB"),
        (f"{TABLE}ADD 1 Operation is working on an unsupported data type", "TFLITE_BUILTINS_INT8"),
        (f"{TABLE}ADD 1 More than one subgraph is not supported", "up to the first op"),
        (f"{HEAD}Internal compiler error. Aborting!", "tensorflow<2.9"),
    ],
)
def test_each_has_its_own_step(log, words):
    (match,) = explain(log).matches
    assert (match.id, words in match.fix) == (FAMILY.id, True)


def test_the_same_words_elsewhere():
    assert ids("svn: Operation not supported\ngcc: Internal compiler error. Aborting!") == []
