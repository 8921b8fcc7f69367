"""The user's inputs: data sets, folders of images that Pillow wrote, functions, faults."""

import sys
import zipfile
from itertools import count

import numpy as np
import pytest

from varhandle.evaluate.given_inputs import (
    MOST_CALLS,
    CallsError,
    given_calls,
    load_calls,
    rereadable_inputs,
)
from varhandle.evaluate.input_facts import ValueDistribution, ValueRange
from varhandle.graph import Signature, TensorSpec


def signature(*specs):
    return Signature("s", "f", tuple(TensorSpec(*spec) for spec in specs), ())


IMAGE = signature(("image", "float32", (None, 8, 6, 3)))
ROW = signature(("x", "float32", (None, 2)))


def test_an_npy_file_holds_the_samples_of_a_data_set(tmp_path):
    rows = np.arange(6, dtype="uint8").reshape(3, 2)
    np.save(tmp_path / "rows.npy", rows)
    calls = load_calls(tmp_path / "rows.npy", ROW)
    assert [call["x"].tolist() for call in calls] == [[[0.0, 1.0]], [[2.0, 3.0]], [[4.0, 5.0]]]
    assert {call["x"].dtype.name for call in calls} == {"float32"}


def test_samples_of_several_inputs_need_no_axis_for_the_batch():
    two = signature(("a", "float32", (1, 2)), ("b", "int32", (None,)))
    calls = load_calls({"a": np.ones([4, 2]), "b": np.arange(4)}, two)
    assert [(call["a"].shape, call["b"].tolist()) for call in calls][3] == ((1, 2), [3])


def test_a_large_data_set_is_spread_over_or_begun_with_and_calls_are_taken_whole():
    rows = np.repeat(np.arange(5000.0)[:, None], 2, axis=1)
    spread = [call["x"][0, 0] for call in load_calls(rows, ROW)]
    assert (len(spread), spread[0], spread[-1]) == (MOST_CALLS, 0.0, 4999.0)
    begun = given_calls(rows, ROW, in_order=True).calls
    assert [call["x"][0, 0] for call in begun] == list(range(MOST_CALLS))
    assert len(load_calls(rows[:, None], ROW)) == 5000


@pytest.mark.parametrize(
    "given",
    [
        [{"x": [[1, 2]]}, {"x": [[3, 4]]}],
        [np.array([[1.0, 2.0]]), np.array([3.0, 4.0])],
        ([row] for row in (np.array([[1, 2]]), np.array([[3, 4]]))),  # a representative dataset
        lambda: iter([{"x": np.array([1, 2])}, {"x": np.array([3, 4])}]),
    ],
    ids=["mappings", "arrays", "generator of lists", "function"],
)
def test_calls_may_be_listed_or_yielded(given):
    calls = load_calls(given, ROW)
    assert [call["x"].tolist() for call in calls] == [[[1.0, 2.0]], [[3.0, 4.0]]]


def test_a_generator_without_end_is_read_once_and_its_calls_again_and_again():
    again = rereadable_inputs(np.full([1, 2], number) for number in count())
    for calls in (load_calls(again, ROW), load_calls(again, ROW)):
        assert [call["x"][0, 0] for call in calls] == list(range(MOST_CALLS))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ([], "there is no call in it"),
        (7, "calls are wanted, and not int"),
        ([{"y": [[1, 2]]}], "takes x, and not y"),
        ([(np.zeros([1, 2]), 7)], "the inputs: a call is one array for x, .* and not 2 values"),
        ([np.zeros([2, 3])], r"shape \[-1, 2\], and not \[2, 3\]"),
        ("nothing.npz", "no such file or folder; give an .npz or .npy file, a folder"),
    ],
)
def test_what_are_no_calls_is_said(given, fault):
    with pytest.raises(CallsError, match=fault):
        load_calls(given, ROW)


def test_one_array_for_two_inputs_is_refused():
    two = signature(("a", "float32", (2,)), ("b", "float32", (2,)))
    with pytest.raises(CallsError, match=r"one array, and the signature takes a, b: use np\.savez"):
        load_calls(np.zeros([3, 2]), two)


def test_real_values_for_quantized_inputs_stay_real_and_their_integers_stay_integers():
    small = signature(("x", "int8", (None, 2)))
    for dtype, stays in (("float64", "float32"), ("uint8", "float32"), ("int8", "int8")):
        (call,) = given_calls(np.full([1, 2], 100, dtype), small, quantized=["x"]).calls
        assert (call["x"].dtype.name, call["x"][0, 0]) == (stays, 100)
    with pytest.raises(CallsError, match="takes int8, and not float64"):
        load_calls(np.zeros([1, 2]), small)


@pytest.mark.parametrize("content", [b"x,y\n1,2\n", b"", b"\x80\x04K\x03."])
def test_a_file_of_another_kind_is_told_what_inputs_are(tmp_path, content):
    """NumPy takes whatever it does not know for a pickle, and advises to load that."""
    (tmp_path / "calls.csv").write_bytes(content)
    with pytest.raises(CallsError, match=r"no \.npz or \.npy file; give an") as refused:
        load_calls(tmp_path / "calls.csv", ROW)
    assert "pickle" not in str(refused.value)


def test_an_archive_is_refused_by_what_it_says_and_not_unpacked(tmp_path):
    """The list of the archive was written by hand: it says 6 GB."""
    path = tmp_path / "calls.npz"
    np.savez_compressed(path, x=np.ones([3, 2], "float32"))
    assert len(load_calls(path, ROW)) == 3
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = 6_000_000_000
        archive.comment = b"so that the list is written anew"
    with pytest.raises(CallsError, match=r"take 6,000,000,000 bytes, and may take 4,294,967,296: "):
        load_calls(path, ROW)


def test_values_that_are_no_numbers_are_said_with_what_the_calls_rest_on():
    assert given_calls(np.ones([3, 2]), ROW).basis == "3 calls of yours"
    for odd in (np.nan, -np.inf):
        given = given_calls(np.array([[1.0, 2.0], [1.0, odd]]), ROW)
        assert given.basis == "2 calls of yours, with NaN or infinity"


# Functions.

FUNCTIONS = """
import itertools
import numpy as np
import beside

def endless():
    for number in itertools.count():
        yield {"x": np.full([1, 2], number)}

def rows():
    return np.ones([3, 2])

def faulty():
    yield {"x": np.zeros([1, 2])}
    raise LookupError("the data set\\nis not there")

def labeled():
    for label in range(3):
        yield np.zeros([1, 2]), np.array([label, label, label])

def silent():
    pass

def word():
    return "calls.npz"

nothing = 3
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "own_calls.py").write_text(FUNCTIONS)
    (tmp_path / "beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own_calls.py"


def test_a_function_is_run_in_a_child(functions):
    calls = load_calls(f"{functions}:endless", ROW)
    assert [call["x"][0, 0] for call in calls] == list(range(MOST_CALLS))
    assert len(load_calls("own_calls:rows", ROW)) == 3
    assert "own_calls" not in sys.modules


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("own_calls.py:faulty", "own_calls.py:faulty raised LookupError: the data set: call it"),
        ("own_calls.py:labeled", "labeled: a call is one array for x, .*: leave out .* a label$"),
        ("own_calls.py:silent", "silent: calls are wanted, and not NoneType; give an"),
        ("own_calls.py:word", "word: calls are wanted, and not str; give an"),
        ("own_calls.py:missing", "there is no function missing in it"),
        ("own_calls.py:nothing", "there is no function nothing in it"),
        ("other.py:rows", "other.py:rows: there is no such file"),
        ("no_such_module:rows", "raised ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_the_fault_of_a_function_is_one_line(functions, name, fault):
    with pytest.raises(CallsError, match=fault) as refused:
        load_calls(name, ROW)
    assert "\n" not in str(refused.value)


# Images.


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures in two folders, each of one color, as many data sets have them."""
    image = pytest.importorskip("PIL.Image")
    for number in range(10):
        folder = tmp_path / "pictures" / ("ab"[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        color = (25 * number, 100, 200)
        image.new("RGB", (20, 30), color).save(folder / f"{number}.png")
    (tmp_path / "pictures" / "labels.txt").write_text("no image")
    return tmp_path / "pictures"


def test_images_are_resized_and_keep_their_values_where_the_model_rescales(pictures):
    facts = {"image": ValueRange(0, 255, "its rescaling", whole=True)}
    given = given_calls(pictures, IMAGE, facts)
    assert {call["image"].shape for call in given.calls} == {(1, 8, 6, 3)}
    reds = sorted(int(call["image"][0, 4, 3, 0]) for call in given.calls)
    assert reds == [25 * number for number in range(10)]
    assert given.basis == "10 images of yours, as 6x8, pixels 0..255 (its rescaling)"


@pytest.mark.parametrize(
    ("fact", "red", "basis"),
    [
        (None, 25 / 255, "pixels divided by 255, as the model shows no rescaling"),
        (
            ValueRange(-1, 1, "its metadata"),
            25 / 127.5 - 1,
            "pixels brought to -1..1 (its metadata)",
        ),
        (
            ValueDistribution(np.array(0.5), np.array(0.2), "its normalization"),
            25 / 255,
            "divided by 255",
        ),
        (
            ValueDistribution(np.array(120.0), np.array(60.0), "its normalization"),
            25,
            "pixels 0..255",
        ),
    ],
)
def test_images_get_the_values_that_the_model_takes(pictures, fact, red, basis):
    given = given_calls(pictures, IMAGE, {} if fact is None else {"image": fact})
    values = [call["image"][0, 0, 0, 0] for call in given.calls]
    assert np.isclose(values, red, atol=1e-6).sum() == 1
    assert basis in given.basis


@pytest.mark.parametrize(
    ("dtype", "shape", "wanted", "gray"),
    [
        ("uint8", (None, 8, 6, 3), (1, 8, 6, 3), False),
        ("uint8", (None, 3, 8, 6), (1, 3, 8, 6), False),
        ("uint8", (8, 6, 3), (8, 6, 3), False),
        ("uint8", (None, 8, 6, 1), (1, 8, 6, 1), True),
        ("uint8", (None, 8, 6), (1, 8, 6), True),
        ("uint8", (None, None, None, 3), (1, 32, 32, 3), False),
    ],
)
def test_images_are_laid_out_as_the_input_is(pictures, dtype, shape, wanted, gray):
    image = pytest.importorskip("PIL.Image")
    calls = load_calls(pictures, signature(("image", dtype, shape)))
    assert {(call["image"].shape, call["image"].dtype.name) for call in calls} == {(wanted, dtype)}
    first = image.open(pictures / "a" / "0.png").convert("L" if gray else "RGB").getpixel((0, 0))
    assert sorted(set(calls[0]["image"].ravel().tolist())) == sorted(np.ravel(first).tolist())


@pytest.mark.parametrize(
    ("specs", "fault"),
    [
        ([("x", "float32", (None, 10))], r"x is float32 of shape \[-1, 10\], which is no image"),
        ([("x", "string", (None,))], "which is no image"),
        ([("x", "float32", (None, 4, 10))], "which is no image"),  # a short series
        ([("x", "float32", (2, 10, 3))], "which is no image"),  # two of them
        ([("a", "uint8", (1, 8, 8, 3)), ("b", "int32", ())], "the signature takes a, b"),
    ],
)
def test_what_takes_no_images_is_said(pictures, specs, fault):
    with pytest.raises(CallsError, match=fault):
        load_calls(pictures, signature(*specs))


def test_a_photograph_is_turned_and_made_smaller(tmp_path):
    """A camera writes down how it was held; where the size is open, a network gets no more."""
    image = pytest.importorskip("PIL.Image")
    held = image.new("RGB", (1100, 700), (0, 0, 255))
    held.paste((255, 0, 0), (0, 0, 1100, 350))  # its upper half
    exif = image.Exif()
    exif[0x0112] = 6  # the upper edge is the right one of what was seen
    held.save(tmp_path / "PHOTO.PNG", exif=exif)
    (call,) = load_calls(tmp_path, signature(("image", "uint8", (None, 600, None, 3))))
    assert call["image"].shape == (1, 600, 512, 3)
    assert call["image"][0, 300, [100, 400]].tolist() == [[0, 0, 255], [255, 0, 0]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_a_gray_of_any_mode_is_that_gray(tmp_path, mode):
    image = pytest.importorskip("PIL.Image")
    if mode == "I;16":  # as scanners and microscopes write it
        image.fromarray(np.full([8, 6], 100 * 257, "uint16")).save(tmp_path / "a.tiff")
    else:
        shown = image.new("L", (6, 8), 255 if mode == "1" else 100)
        shown.convert(mode).save(tmp_path / "a.tiff")
    (call,) = load_calls(tmp_path, IMAGE)
    wanted = 255 if mode == "1" else 100
    np.testing.assert_allclose(call["image"], wanted / 255, atol=0.01)


def test_of_many_images_some_are_taken_and_counted(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for number in range(MOST_CALLS + 20):
        image.new("RGB", (6, 8)).save(tmp_path / f"{number}.png")
    assert given_calls(tmp_path, IMAGE).basis.startswith("100 images of yours (of 120), as 6x8,")


def test_a_folder_without_images_and_a_damaged_one(pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CallsError, match="there is no image in this folder"):
        load_calls(tmp_path / "empty", IMAGE)
    (pictures / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    with pytest.raises(CallsError, match=r"0\.png cannot be read"):
        load_calls(pictures, IMAGE)


def test_without_pillow_the_command_that_installs_it_is_said(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(CallsError, match="reading images needs Pillow: pip install pillow"):
        load_calls(pictures, IMAGE)
