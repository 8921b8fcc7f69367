"""What pairing is made of, each beside the slow way that needs no thought."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varhandle.divergence import matching
from varhandle.divergence.matching import Samples, align, distance
from varhandle.divergence.model_trace import ModelOp


@given(st.permutations(range(7)))
def test_the_longest_rise(order):
    pairs = list(enumerate(order))
    longest = max(
        length
        for length in range(8)
        for some in combinations(pairs, length)
        if [b for _, b in some] == sorted(b for _, b in some)
    )
    found = matching._longest_rise(pairs)
    assert len(found) == longest
    assert set(found) <= set(pairs)
    assert found == sorted(found)
    assert [b for _, b in found] == sorted(b for _, b in found)


@given(st.integers(0, 99), st.sampled_from([1, 7, 5000]), st.floats(0, 3e-4))
def test_the_first_look_loses_no_tensor_that_is_alike(seed, size, apart):
    rng = np.random.default_rng(seed)
    mine = rng.normal(size=size).astype(np.float32)
    samples = Samples()
    for number in range(12):
        far = 1.0 if number % 3 else apart
        samples.add(number, mine + far * rng.uniform(-1, 1, size).astype(np.float32))
    for number in range(12):
        samples.add(number, mine)  # a second call, in which all agree
    asked = Samples()
    asked.add("mine", mine)
    asked.add("mine", mine)
    found = matching._ByValue(samples).find(asked.sizes["mine"], asked.joined("mine"))
    shares = {n: distance(asked.joined("mine"), samples.joined(n)) for n in range(12)}
    nearest = min(shares.values())
    assert set(found) == {
        n for n, share in shares.items() if share <= min(1e-4, 10 * nearest + 1e-7)
    }


def test_names_that_the_converter_gives():
    nodes = ("model/a/MatMul", "model/b/MatMul", "model/b/split", "call/Relu_1")
    ops = [ModelOp(f"{node}:{place}", "", node, ()) for node in nodes for place in (0, 1)]
    index = matching._NameIndex(ops)

    def found(name):
        return {one.split(":")[0] for one in index.find(name)}

    assert found("model/b/MatMul") == {"model/b/MatMul"}
    assert found("StatefulPartitionedCall/model/a/MatMul;model/b/split1") == {
        "model/a/MatMul",
        "model/b/split",
    }
    assert index.find("model/b/split") == ["model/b/split:0", "model/b/split:1"]
    assert found("Relu_1") == {"call/Relu_1"}
    assert found("call/Relu_11") == {"call/Relu_1"}  # the second of that name
    assert not found("model/c/Add")


@pytest.mark.parametrize(
    ("scores", "columns"),
    [
        ([[1, 0], [0, 1]], [0, 1]),
        ([[0, 2], [3, 0]], [None, 0]),  # they cross: the higher one stays
        ([[1, 1, 1], [0, 1, 3]], [0, 2]),
        ([[0, 0], [1, 0], [1, 1]], [None, 0, 1]),
        ([], []),
    ],
)
def test_what_has_one_order_is_aligned_by_the_highest_sum(scores, columns):
    assert align(scores) == columns
