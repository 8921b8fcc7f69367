"""The digit pad without a browser: what becomes of strokes, and what two files say of them."""

import subprocess
import sys

import numpy as np
import pytest
from drawn_digits import DRAWN

from varhandle.evaluate.session import Session
from workbook_lib import controls
from workbook_lib.controls.digit_sheet import DigitAnswers, classify_ink, ink_of_strokes
from workbook_lib.samples import load_classifier, load_digits


@pytest.fixture(scope="module")
def files(tf):
    """The classifier as float32 and as int8 throughout, made by TensorFlow's own converter."""
    classifier, images = load_classifier(), load_digits().train_images
    float_file = tf.lite.TFLiteConverter.from_keras_model(classifier).convert()
    converter = tf.lite.TFLiteConverter.from_keras_model(classifier)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images[:200])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return {"float32": float_file, "int8": converter.convert()}


@pytest.fixture(scope="module")
def sessions(files):
    return {name: Session(content) for name, content in files.items()}


@pytest.mark.parametrize("digit", DRAWN)
def test_a_drawn_digit_is_named_rightly_by_both_files(sessions, digit):
    answers = classify_ink(sessions, ink_of_strokes(DRAWN[digit]))
    assert answers.labels == {"float32": digit, "int8": digit}


def test_the_float_file_answers_as_keras_does(sessions):
    ink = ink_of_strokes(DRAWN[8])
    keras = load_classifier()(ink[None, ..., None]).numpy()[0]
    answers = classify_ink(sessions, ink)
    assert np.allclose(answers.shares["float32"], keras, atol=1e-5)
    steps = answers.shares["int8"] * 256  # an int8 softmax goes in steps of 1/256
    assert np.allclose(steps, np.round(steps), atol=1e-3)


def test_drawn_digits_have_the_ink_of_scanned_ones():
    """Mean ink, and the share of squares with any, beside the 1,437 digits of the data."""
    drawn = np.stack([ink_of_strokes(strokes) for strokes in DRAWN.values()])
    scanned = load_digits().train_images[..., 0]
    assert abs(drawn.mean() - scanned.mean()) < 0.02
    assert abs((drawn > 0).mean() - (scanned > 0).mean()) < 0.02


def test_ink_is_counted_in_sixteenths_as_the_scans_were():
    counts = ink_of_strokes(DRAWN[3]) * 16
    assert np.array_equal(counts, np.round(counts))
    assert 0 <= counts.min() < counts.max() <= 16


def test_where_and_how_large_a_digit_is_drawn_does_not_matter():
    small = [[[0.05 + 0.2 * x, 0.7 + 0.2 * y] for x, y in stroke] for stroke in DRAWN[5]]
    assert np.array_equal(ink_of_strokes(small), ink_of_strokes(DRAWN[5]))


def test_a_straight_line_fills_the_middle_of_the_sheet():
    ink = ink_of_strokes([[[0.2, 0.1], [0.2, 0.9]]])
    assert (ink[:, 3:5] > 0).all()
    assert not ink[:, :3].any()
    assert not ink[:, 5:].any()


def test_a_dot_and_nothing_are_drawings_too():
    assert ink_of_strokes([[[0.1, 0.1]]])[3:5, 3:5].all()
    assert not ink_of_strokes([]).any()
    assert not ink_of_strokes([[]]).any()


def test_the_text_says_what_the_files_saw_and_said(sessions):
    answers = classify_ink(sessions, load_digits().test_images[0])
    text = answers.text()
    assert text.startswith(f"float32 says {load_digits().test_labels[0]}, int8 says")
    seen = text.rpartition("ink, 0 to 16:\n")[2].split()
    assert [int(count) / 16 for count in seen] == load_digits().test_images[0].ravel().tolist()


def test_names_are_shown_safely(files):
    answers = controls.digit_pad({"<script>\n": files["float32"]})
    assert "<script>" not in answers.html()
    assert "&lt;script&gt;\\n" in answers.html()


def test_the_example_must_be_there(files):
    with pytest.raises(ValueError, match="0 to 359, and is not 360"):
        controls.digit_pad(files, example=360)


def test_where_nobody_can_draw_the_example_is_answered(files):
    answers = controls.digit_pad(files, example=7)
    assert np.array_equal(answers.ink, load_digits().test_images[7, ..., 0])


def test_neither_form_imports_tensorflow(files, tmp_path):
    path = tmp_path / "float.tflite"
    path.write_bytes(files["float32"])
    code = (
        "import sys, pathlib; from workbook_lib import controls\n"
        f"files = {{'float32': pathlib.Path({str(path)!r}).read_bytes()}}\n"
        "from workbook_lib.controls import digit_sheet\n"
        "answer = controls.digit_pad(files)\n"
        "digit_sheet.is_interactive = lambda: True\n"
        "controls.digit_pad(files)\n"
        "print('tensorflow' in sys.modules, answer.labels)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.startswith("False {'float32': ")


@pytest.mark.parametrize(("other", "mark"), [(3, "•"), (5, "✗")])
def test_files_that_disagree_are_marked(other, mark):
    shares = {"a": np.eye(10)[3], "b": 0.7 * np.eye(10)[other]}
    answers = DigitAnswers(np.zeros([8, 8], "float32"), shares)
    assert f">{mark}</span>" in answers.html()
    apart = 100 if other == 5 else 30
    assert answers.verdict == f"a says 3, b says {other}; at most {apart} points apart"
