"""Appendix 97: answers to its exercise, the key of its prediction, and the cure of its card."""

import textwrap

import pytest
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from varhandle.evaluate.recipe_comparison import count_right
from workbook_lib.lesson.content import calibration
from workbook_lib.samples import load_classifier, load_digits


def dataset(body):
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"def balanced_dataset(images, labels):\n{lines}"


EACH = "for digit in range(10):\n    for image in images[labels == digit][:10]:\n        "


@pytest.mark.parametrize(
    ("source", "status", "advice"),
    [
        (dataset("for image in images[:100]:\n    yield [image[np.newaxis]]"),
         "wrong", "Do you choose by the label?"),
        (dataset(f"{EACH}yield image[np.newaxis]"), "wrong", "a list with one array"),
        (dataset(f"{EACH}yield [image]"), "wrong", "[1, 8, 8, 1]?"),
        (dataset(f"{EACH}yield (image[np.newaxis],)"), "wrong", "yields a tuple"),
        (dataset("while True:\n    yield [images[:1]]"), "wrong", "Where does it end?"),
        (dataset(f"{EACH}yield [image[np.newaxis] * 16]"), "wrong", "values from 0 to 1"),
        (dataset(f"{EACH}yield [image[np.newaxis].astype(np.float64)]"), "wrong", "float64"),
        (dataset(f"{EACH}yield [image[np.newaxis], digit]"), "wrong", "has one input"),
        (dataset(f"{EACH}yield [image[:, :, 0]]"), "wrong", "and not [1, 8, 8, 1]"),
        (dataset("for _ in range(2):\n    for digit in range(10):\n"
                 "        for image in images[labels == digit][:5]:\n"
                 "            yield [image[np.newaxis]]"),
         "wrong", "come twice"),
        (dataset("for digit in range(10):\n    for image in images[labels == digit][:5]:\n"
                 "        yield [image[np.newaxis]]"),
         "wrong", "It yields 50 images"),
        (dataset("yield [images[labels == 0][:1]]\nreturn"), "wrong", "It yields 1 images"),
        (dataset("return lambda: iter([])"), "wrong", "Call it"),
        (dataset("return iter([])"), "wrong", "yields nothing"),
        (dataset("return 7"), "wrong", "does your function `yield`?"),
        (dataset("print(images)"), "wrong", "`None`"),
        (dataset("yield [images[labels.index(3)]]"), "raised", "AttributeError"),
        (dataset(f"{EACH}yield {{'x': image[np.newaxis]}}"), "wrong", "calls its input `image`"),
        (dataset(f"{EACH}yield {{'image': image}}"), "wrong", "[1, 8, 8, 1]?"),
        (dataset(f"{EACH}yield {{}}"), "wrong", "the names none"),
        (dataset(f"{EACH}yield 'serving_default', [image[np.newaxis]]"),
         "wrong", "wants a dictionary"),
        (dataset("from workbook_lib.samples import load_digits\ndigits = load_digits()\n"
                 "for digit in range(10):\n"
                 "    for image in digits.train_images[digits.train_labels == digit][:10]:\n"
                 "        yield [image[np.newaxis]]"),
         "wrong", "Use its arguments"),
        (dataset("for image, label in zip(images, labels):\n    if label < 10:\n"
                 "        yield [image[np.newaxis]]"),
         "wrong", "It yields 110 images"),
        (dataset("for digit in range(1, 11):\n    for image in images[labels == digit][:10]:\n"
                 "        yield [image[np.newaxis]]"),
         "wrong", "It yields 90 images"),
        (dataset("for digit in range(10):\n    yield [images[labels == digit][:10]]"),
         "wrong", "and not [1, 8, 8, 1]"),
        (dataset(f"{EACH}yield [np.zeros_like(image)[np.newaxis]]"), "wrong", "as they are"),
        (dataset(f"{EACH}yield [image[np.newaxis] - images.mean()]"), "wrong", "as they are"),
        (dataset(f"{EACH}yield {{'image': image[np.newaxis]}}"), "right", "its say"),
        (dataset(f"{EACH}yield 'serving_default', {{'image': image[np.newaxis]}}"),
         "right", "its say"),
        (dataset("seen = dict.fromkeys(range(10), 0)\nfor image, label in zip(images, labels):\n"
                 "    if seen[label] < 10:\n        seen[label] += 1\n"
                 "        yield [image.reshape(1, 8, 8, 1)]"),
         "right", "its say"),
        (dataset("return [[image[None]] for digit in range(10)"
                 " for image in images[labels == digit][-10:]]"),
         "right", "its say"),
    ],
)  # fmt: skip
def test_datasets(outcome, source, status, advice):
    assert_says(outcome("calibration/balanced-dataset", source), advice, status)


@pytest.mark.parametrize(
    ("chosen", "status", "advice"),
    [
        ("images[:10]", "wrong", "Do you choose by the label?"),
        ("images[digit * 10 : digit * 10 + 10]", "wrong", "Do you choose by the label?"),
        ("images[labels == digit]", "wrong", "It yields 110 images"),
        ("images[:10][labels[:10] == digit]", "wrong", "It yields 10 images"),
        ("images[labels == digit][:9]", "wrong", "It yields 90 images"),
        ("images[digit][:10]", "wrong", "not a whole image"),
        ("[images[labels == digit][0]] * 10", "wrong", "come twice"),
        ("images[labels == 0][:10]", "wrong", "Do you choose by the label?"),
        ("labels[labels == digit][:10]", "wrong", "not a whole image"),
        ("images[labels[:10] == digit]", "raised", "IndexError"),
        ("np.random.default_rng(7).choice(images[labels == digit], 10)", "wrong", "come twice"),
        ("images[labels == digit, :10]", "wrong", "It yields 110 images"),
        ("[one for one, label in zip(images, labels) if label == digit][-10:]", "right", "its say"),
        ("images[np.flatnonzero(labels == digit)[:10]]", "right", "its say"),
        ("np.compress(labels == digit, images, axis=0)[1:11]", "right", "its say"),
    ],
)
def test_images_chosen_in_the_stub(outcome, chosen, status, advice):
    stub = EXERCISES["calibration/balanced-dataset"].stub
    source = stub.replace("chosen = ...", f"chosen = {chosen}")
    assert_says(outcome("calibration/balanced-dataset", source), advice, status)


@pytest.mark.parametrize(("share", "word"), [(0.98, "all"), (0.5, "half"), (0.1, "chance")])
def test_a_share_of_the_digits_in_a_word(share, word):
    assert calibration.band(share) == word


FORMS = {
    "a list": "[image]",
    "a dictionary": "{'image': image}",
    "a signature's name and a dictionary": "('serving_default', {'image': image})",
    "a bare array": "image",
    "another name": "{'x': image}",
    "a tuple": "(image,)",
    "a name and a list": "('serving_default', [image])",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_check_takes_what_the_converter_takes(tf, outcome, form):
    source = f"{EACH}image = image[np.newaxis]\n        yield {FORMS[form]}"
    verdict = outcome("calibration/balanced-dataset", dataset(source)).status
    image = load_digits().train_images[:1]
    converter = tf.lite.TFLiteConverter.from_keras_model(load_classifier())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([eval(FORMS[form], {"image": image})])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        takes = bool(converter.convert())
    except (ValueError, KeyError, IndexError):
        takes = False
    assert (verdict == "right") == takes


def test_the_cure_of_the_card_calibrates(tf):
    digits = load_digits()
    converter = tf.lite.TFLiteConverter.from_keras_model(load_classifier())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    run_cure("calibration", converter=converter, train_images=digits.train_images)
    content = converter.convert()
    assert count_right(content, digits.test_images, digits.test_labels) > 0.95 * 360
