"""Lesson 35: answers to its exercise, the key of its prediction, and its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says, execute, load, source

from varhandle.tflite.flatbuffer import pack, unpack
from workbook_lib.lesson.checks import find_the_op as check
from workbook_lib.lesson.content import find_the_op as content
from workbook_lib.samples import load_digits

FINDING = """
def faulty_layer(wanted, got):
    for name in {names}:
        differs = {differs}
        if differs:
            return {returned}
    return {end}
"""
RIGHT = {
    "names": "wanted",
    "differs": "not np.allclose(got[name], wanted[name], atol=1e-4)",
    "returned": "name",
    "end": '"none"',
}


def finding(**changes):
    return FINDING.format(**(RIGHT | changes))


@pytest.mark.parametrize(
    "code",
    [
        finding(),
        finding(names="got"),
        finding(names="list(wanted.keys())"),
        finding(differs="not (np.abs(got[name] - wanted[name]) < 1e-3).all()"),
        finding(differs="not np.abs(got[name] - wanted[name]).max() <= 1e-4"),
        finding(differs="not np.allclose(wanted[name], got[name], rtol=1e-3, atol=1e-5)"),
        finding(differs="not np.array_equal(got[name].round(2), wanted[name].round(2))"),
        """
            def faulty_layer(wanted, got):
                agree = [np.allclose(got[name], wanted[name], atol=1e-4) for name in wanted]
                return list(wanted)[agree.index(False)] if False in agree else "none"
        """,
        """
            def faulty_layer(wanted, got):
                def differs(name):
                    return any(not np.allclose(a, b, atol=1e-4)
                               for a, b in zip(wanted[name], got[name]))
                return next((name for name in wanted if differs(name)), "none")
        """,
    ],
)  # fmt: skip
def test_ways_to_find_the_layer(outcome, code):
    assert_says(outcome("find_the_op/faulty-layer", code), "the first that differs", "right")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (finding(differs="not np.array_equal(got[name], wanted[name])"), "that is rounding"),
        (finding(differs="(got[name] != wanted[name]).any()"), "that is rounding"),
        (finding(differs="np.abs(got[name] - wanted[name]).max() > 1e-4"), "How is NaN compared"),
        (finding(differs="(np.abs(got[name] - wanted[name]) > 1e-4).any()"), "How is NaN compared"),
        (finding(names="reversed(wanted)"), "Your answer is digit"),
        (finding(names="sorted(wanted)"), "Your answer is digit"),
        (finding(differs="not np.allclose(got[name], wanted[name], atol=10)"), "The fault is in"),
        (finding(differs="abs(got[name].mean() - wanted[name].mean()) > 1"), "The fault is in"),
        *(
            (
                finding(differs=f"not np.allclose({of}(got[name]), {of}(wanted[name]), rtol=1e-3)"),
                "The fault is in",
            )
            for of in ("np.mean", "np.std", "np.max", "np.linalg.norm", "np.sort")
        ),
        (
            finding(differs="not np.corrcoef(got[name].flat, wanted[name].flat)[0, 1] > 0.999"),
            "The fault is in edges",
        ),
        (finding(differs="not np.allclose(got[name], wanted[name], atol=0.1)"), "by up to 0.05"),
        (finding(differs="np.allclose(got[name], wanted[name], atol=1e-4)"), "that is rounding"),
        (finding(differs="True"), "that is rounding"),
        (finding(differs="False"), "The fault is in strokes"),
        (finding(end="None"), 'return the text `"none"`'),
        (finding(returned="None"), "returned `None`"),
        (finding(end='"agree"'), "is no layer of the model"),
        (finding(returned="list(wanted).index(name)"), 'the name of a layer, or `"none"`'),
        (finding(returned="[name]"), 'the name of a layer, or `"none"`'),
        (finding(returned="name.upper()"), "is no layer of the model"),
        (
            "def faulty_layer(wanted, got):\n"
            "    return max(wanted, key=lambda name: np.abs(wanted[name] - got[name]).max())",
            "that is rounding",
        ),
        (
            "def faulty_layer(wanted, got):\n"
            "    worst = max(wanted, key=lambda name: np.abs(wanted[name] - got[name]).max())\n"
            "    return worst if np.abs(wanted[worst] - got[worst]).max() > 1e-3 else 'none'",
            "The fault is in",
        ),
        (
            "def faulty_layer(wanted, got):\n"
            "    found = 'none'\n"
            "    for name in wanted:\n"
            "        if not np.allclose(got[name], wanted[name], atol=1e-4):\n"
            "            found = name\n"
            "    return found",
            "Your answer is digit",
        ),
        ('def faulty_layer(wanted, got):\n    return "strokes"', "that is rounding"),
        (
            finding(differs="not np.allclose(got[name][-1], wanted[name][-1], atol=1e-4)"),
            "its outputs, of image 1 for one, differ",
        ),
        (
            finding(differs="not np.allclose(got[name][0], wanted[name][0], atol=1e-4)"),
            "its outputs, of image 1 for one, differ",
        ),
    ],
)
def test_wrong_findings(outcome, code, told):
    assert_says(outcome("find_the_op/faulty-layer", code), told)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (finding(differs="got[name] != wanted[name]"), "raised"),
        (finding(differs="not np.allclose(got, wanted)"), "raised"),
        ("def faulty_layer(wanted, got):\n    ...", "not attempted"),
    ],
)
def test_what_gives_no_name(outcome, code, status):
    assert outcome("find_the_op/faulty-layer", code).status == status


def test_each_fault_of_the_check_differs_first_where_it_was_planted():
    """By a comparison of our own, so that a fault which does nothing is found out."""
    for (_, place), (wanted, got) in zip(check._FAULTS, check._compared(), strict=True):
        largest = {name: np.abs(got[name] - wanted[name]).max() for name in wanted}
        before = list(wanted)[: list(wanted).index(place)] if place != "none" else list(wanted)
        assert all(largest[name] < 1e-5 for name in before)
        assert place == "none" or not largest[place] < 1e-2


@pytest.mark.parametrize(
    ("largest", "key"),
    [
        ((0.0, 1e-6, 2.5, 0.3), "behind"),
        ((0.2, 0.3, 2.5, 0.3), "all"),
        ((1e-6, 0.2, 0.0, 1e-6), "one"),
        ((0.0, 0.0, 0.0, 2e-4), "one"),
        ((0.0, 0.1, 0.0, 0.1), "some"),
        ((1e-7, 0.0, 1e-6, 3e-5), "some"),
    ],
)
def test_which_layers_differ_is_read_off_the_run(largest, key):
    names = ("edges", "shrink", "strokes", "flatten")
    assert content.how_many_differ(dict(zip(names, largest, strict=True))) == key


def test_locate_names_the_planted_op_and_both_options_in_words():
    names = {}
    for cell in ("imports", "locate"):
        names = execute(source(load("35_find_the_op.ipynb"), cell), names)
    first = names["location"].first
    assert first["op"] == "CONV_2D"
    assert "strokes" in first["tensor"]
    assert "is RELU_N1_TO_1 where a fresh conversion has RELU" in first["why"]


def test_the_cure_of_the_card_reads_every_output(tf):
    from workbook_lib.samples import load_classifier

    model, images = load_classifier(), load_digits().test_images[:1]
    names = run_cure("find_the_op", content=pack(unpack(check._file(model))), model=model)
    kept, wanted = names["kept"], names["wanted"]([images])
    kept.set_tensor(kept.get_input_details()[0]["index"], images)
    kept.invoke()
    shapes = {tuple(output.shape): output for output in wanted}
    found = [
        np.allclose(kept.get_tensor(tensor["index"]), shapes[tuple(tensor["shape"])], atol=1e-4)
        for tensor in kept.get_tensor_details()
        if tuple(tensor["shape"]) in ((1, 8, 8, 8), (1, 4, 4, 8), (1, 4, 4, 16), (1, 256))
    ]
    assert found == [True] * 4
