"""Latency against sleeps of known length and against NumPy's quantiles."""

import gc
import itertools
import time

import numpy as np
import pytest

from varhandle.evaluate.latency import Latency, LatencyTable, compare_latency, measure_latency


def test_median_and_quartiles_are_numpys():
    seconds = [0.004, 0.001, 0.009, 0.002, 0.005, 0.03]
    measured = Latency.of(seconds)
    expected = np.quantile(np.array(seconds) * 1000, [0.25, 0.5, 0.75])
    found = [measured.lower_quartile, measured.median, measured.upper_quartile]
    assert found == pytest.approx(expected.tolist())
    assert measured.runs == 6


def test_a_sleep_takes_at_least_its_time():
    assert measure_latency(lambda: time.sleep(0.003), runs=5, warm_up=1).lower_quartile >= 3.0


def test_every_run_is_timed_and_the_warm_up_is_not():
    called = []
    measured = measure_latency(lambda: called.append(1), runs=23, warm_up=7)
    assert measured.runs == 23
    assert len(called) == 23 + 7 + 10  # and one untimed call at the start of each turn


def test_candidates_take_turns():
    order = []
    table = compare_latency(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=20, warm_up=0
    )
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes == 19  # ten turns of each, and not all of one before all of the other
    assert [one.runs for one in table.latencies.values()] == [20, 20]


def test_the_ratio_is_of_medians_to_the_first():
    table = LatencyTable(
        {"float32": Latency(2.0, 1.9, 2.2, 10), "int8": Latency(1.0, 0.9, 1.1, 10)}
    )
    assert (table.ratio("float32"), table.ratio("int8")) == (1.0, 0.5)
    assert table["int8"].median == 1.0
    assert "times float32" in table.text()
    assert "0.900 to 1.100" in table.text()
    assert "0.50" in table.html()
    assert repr(table) == "LatencyTable(float32 2.000 ms, int8 1.000 ms)"


def test_what_is_short_is_told_in_microseconds():
    """Three decimals of a millisecond would leave one digit of a microsecond."""
    short, long = Latency(0.00123, 0.0012, 0.0013, 10), Latency(0.25, 0.2, 0.3, 10)
    table = LatencyTable({"float32": long, "int8": short})
    assert "median µs" in table.text() and "250.000" in table.text() and "1.230" in table.text()
    assert repr(table) == "LatencyTable(float32 250.000 µs, int8 1.230 µs)"
    assert repr(short) == ("Latency(median 1.230 µs, quartiles 1.200 to 1.300 µs, 10 runs)")
    assert "median ms" in LatencyTable({"float32": long}).text()


def test_the_garbage_collector_rests_meanwhile_and_is_on_afterwards():
    states = []
    measure_latency(lambda: states.append(gc.isenabled()), runs=3, warm_up=0)
    assert not any(states)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        measure_latency(lambda: 1 / 0, runs=3, warm_up=0)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("calls", "options", "fault"),
    [
        ({"a": int}, {"runs": 1}, "at least 2 runs"),
        ({"a": int}, {"warm_up": -1}, "at least 2 runs"),
        ({}, {}, "no call"),
    ],
)
def test_nothing_to_time_is_refused(calls, options, fault):
    with pytest.raises(ValueError, match=fault):
        compare_latency(calls, **options)
