"""The package as the page of the site runs it: no NumPy, no other process, no interpreter."""

import io
import json
import shlex
import shutil
import struct
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import run_command
from packaging.requirements import Requirement
from printed_code import ran

from varhandle import browser
from varhandle.cli import main
from varhandle.formats import read_graph
from varhandle.tflite.flatbuffer import pack, unpack
from varhandle.tflite.plain_array import ArrayMapping, PlainArray
from varhandle.tflite.state_files import as_npz

LOGS = Path(__file__).parent / "families" / "logs"
SPECIMENS = (
    "counter_tflite",
    "flex_tflite",
    "custom_tflite",
    "int8_counter_tflite",
    "counter_of_two_signatures",
    "words_in_a_table",
    "tf1_saved_model",
    "unfrozen_graph",
    "frozen_graph",
    "mlp_keras",
    "mlp_h5",
    "lambda_keras",
)
#: What the browser's Python has not, or what no page can use.
MISSING = ("numpy", "ml_dtypes", "psutil", "h5py", "multiprocessing", "tensorflow", "filelock")
#: Hidden from ``PathFinder``, since flatbuffers asks that one whether there is a NumPy.
WITHOUT = f"""if True:
    import json, sys
    from importlib.machinery import PathFinder
    find_spec, missing = PathFinder.find_spec, {MISSING}
    def found(name, path=None, target=None):
        return None if name.partition(".")[0] in missing else find_spec(name, path, target)
    PathFinder.find_spec = staticmethod(found)
    from varhandle import browser
    questions = json.load(sys.stdin)
    answers = [getattr(browser, name)(*given) for name, *given in questions]
    assert not set(missing) & set(sys.modules)
    json.dump(answers, sys.stdout)
"""


def answers_without(questions):
    """Ask a Python that has nothing of ``MISSING``."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers_here(questions):
    return [getattr(browser, name)(*given) for name, *given in questions]


def test_every_log_is_explained_as_ever():
    questions = [("explain_log", path.read_text("utf-8")) for path in sorted(LOGS.glob("*.txt"))]
    assert len(questions) > 50
    assert answers_without(questions) == answers_here(questions)


def test_every_format_is_read_as_ever(specimen_path, tmp_path, capsys):
    paths = [str(specimen_path(name)) for name in SPECIMENS]
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", specimen_path(SPECIMENS[4]))
    questions = [("read_model", path) for path in (*paths, archive)]
    answers = answers_without(questions)
    assert answers == answers_here(questions)
    for (_, path), answer in zip(questions, map(json.loads, answers), strict=True):
        for verb in (["diagnose", "--static"], ["inspect"]):
            main([*verb, "--json", path])
            printed = json.loads(capsys.readouterr().out)
            shown = answer if verb[0] == "diagnose" else answer["inspect"]
            assert {name: shown[name] for name in printed} == printed


def test_a_lifted_file_is_the_same_byte_for_byte(specimen_path, tmp_path):
    path = str(specimen_path("counter_tflite"))
    made = [tmp_path / name for name in ("here.tflite", "without.tflite")]
    (here,) = answers_here([("lift", path, str(made[0]))])
    (without,) = answers_without([("lift", path, str(made[1]))])
    assert without.replace("without", "here") == here
    assert made[0].read_bytes() == made[1].read_bytes()
    states = [np.load(one.with_suffix(".state.npz")) for one in made]
    assert {n: v.tolist() for n, v in states[1].items()} == {
        n: v.tolist() for n, v in states[0].items()
    }


@pytest.mark.parametrize(
    ("name", "by", "word"),
    [
        ("counter_tflite", "litert.js", "a kernel for each"),
        ("detection_tflite", "litert.js", "a kernel for each"),
        ("flex_tflite", None, "Flex"),
        ("custom_tflite", None, "custom"),
        ("counter", None, "Only a .tflite file"),
    ],
)
def test_only_a_file_whose_ops_there_are_is_to_be_run(specimen_path, name, by, word):
    told = json.loads(browser.read_model(str(specimen_path(name))))["runnable"]
    assert told["by"] == by
    assert word in told["why"]


@pytest.mark.parametrize(
    ("given", "answered", "words"),
    [
        ("int64", "int64", ["x is int64", "output_0 is int64"]),
        ("float32", "bool", ["output_0 is bool"]),
        ("int8", "float32", ["x is int8"]),
        ("uint8", "int32", []),
    ],
)
def test_a_file_of_dtypes_that_the_page_cannot_hand_over_is_not_run(
    tf, tmp_path, given, answered, words
):
    class Caster(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3], given, name="x")])
        def __call__(self, x):
            return tf.cast(tf.cast(x, "float32") * 2, answered)

    module, path = Caster(), tmp_path / "caster.tflite"
    tf.saved_model.save(module, tmp_path / "saved", signatures=module.__call__)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    path.write_bytes(converter.convert())
    told = json.loads(browser.read_model(str(path)))["runnable"]
    assert told["by"] == (None if words else "litert.js")
    assert [word for word in words if word not in told["why"]] == []
    assert told["why"].count(" is ") == len(words)


def test_the_dtypes_of_a_file_without_a_signature_are_looked_at(tf, tmp_path):
    double = tf.function(lambda x: x * 2).get_concrete_function(tf.TensorSpec([3], tf.int64, "x"))
    path = tmp_path / "unsigned.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([double]).convert())
    assert not read_graph(path).signatures
    told = json.loads(browser.read_model(str(path)))["runnable"]
    assert told["by"] is None
    assert "x is int64" in told["why"]


@pytest.mark.parametrize("first", [1, 3])
def test_the_sizes_that_a_file_leaves_open_are_those_that_an_interpreter_begins_with(
    tf, save_module, tmp_path, first
):
    class Rows(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2, None], tf.float32, name="x")])
        def __call__(self, x):
            return tf.nn.softmax(x) * 2

    model = unpack(tf.lite.TFLiteConverter.from_saved_model(str(save_module(Rows()))).convert())
    for tensor in model.subgraphs[0].tensors:
        if tensor.shapeSignature is not None:
            sizes = zip(tensor.shape, tensor.shapeSignature, strict=True)
            tensor.shape = [first if is_open < 0 else size for size, is_open in sizes]
    content = bytearray(pack(model))
    path = tmp_path / "rows.tflite"
    path.write_bytes(content)
    sizes = json.loads(browser.read_model(str(path)))["sizes"]
    for place, size in sizes:
        assert struct.unpack_from("<i", content, place) == (-1,)
        struct.pack_into("<i", content, place, size)
    path.write_bytes(content)
    assert json.loads(browser.read_model(str(path)))["sizes"] == []
    (signature,) = read_graph(path).signatures
    (given,) = Interpreter(model_content=bytes(content)).get_input_details()
    assert [spec.shape for spec in (*signature.inputs, *signature.outputs)] == [
        (first, 2, first)
    ] * 2
    assert given["shape_signature"].tolist() == given["shape"].tolist() == [first, 2, first]


def test_a_model_that_brings_code_along_is_said_to(specimen_path):
    told = json.loads(browser.read_model(str(specimen_path("lambda_keras"))))["fix"]
    assert told["commands"][-1].endswith("--trust")
    assert "It brings code along (" in told["sentence"]
    assert "know where the model comes from" in told["sentence"]


def test_the_fix_is_a_command_for_this_model(specimen_path):
    path = specimen_path("counter_of_two_signatures")
    answer = json.loads(browser.read_model(str(path)))
    install, cure = answer["fix"]["commands"]
    assert cure == f"varhandle cure {path} model.tflite --signature {answer['signature']}"
    assert_it_can_be_installed(install, {"tensorflow"})


def test_the_fix_for_a_file_is_run(specimen_path, tmp_path, monkeypatch):
    path = specimen_path("counter_tflite")
    monkeypatch.chdir(tmp_path)
    install, *commands = json.loads(browser.read_model(str(path)))["fix"]["commands"]
    assert_it_can_be_installed(install, set())
    assert [run_command(line) for line in commands] == [0, 0]
    assert not read_graph("stateless.tflite").variables


def assert_it_can_be_installed(command, extras):
    """Compare a pip command with what the package says of itself."""
    *pip, requirement = shlex.split(command)
    assert pip == ["pip", "install"]
    wanted = Requirement(requirement)
    assert wanted.name == metadata("varhandle")["Name"]
    assert wanted.extras == extras <= set(metadata("varhandle").get_all("Provides-Extra"))
    ran(command)


@pytest.mark.parametrize("verb", ["read_model", "lift"])
def test_bad_input_is_one_line_that_names_it(tmp_path, verb, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("broken.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    Path("notes\n.txt").write_text("no model\nat all")
    for name in ("broken.tflite", "notes\n.txt", "nothing.pb"):
        given = [name] + ["out.tflite"] * (verb == "lift")
        error = json.loads(getattr(browser, verb)(*given))["error"]
        assert Path(name).stem.strip() in error
        assert error.isprintable()
    assert not Path("out.tflite").exists()


def test_nothing_that_is_raised_leaves_it(monkeypatch):
    def fail(*_, **__):
        raise LookupError("a fault\nof ours")

    monkeypatch.setattr("varhandle.diagnosis.diagnose", fail)
    told = json.loads(browser.read_model("model.pb"))
    assert told == {"error": "model.pb: it cannot be read (LookupError: a fault of ours)"}


ARRAYS = [
    np.arange(6).astype(dtype).reshape(shape)
    for dtype in [
        "?",
        "b",
        "B",
        "h",
        "H",
        "i",
        "I",
        "q",
        "Q",
        "e",
        "f",
        "d",
        "F",
        "D",
        ">i4",
        ">f8",
    ]
    for shape in ((6,), (2, 3), (1, 6, 1))
] + [np.float32(2.5), np.zeros((0, 4), "int8"), np.asfortranarray(np.eye(3))]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_a_plain_array_is_what_numpy_reads(array):
    plain = PlainArray.of(np.asarray(array))
    for found in (plain.numpy(), np.load(io.BytesIO(plain.npy()))):
        assert found.dtype == np.asarray(array).dtype.newbyteorder("<")
        assert found.shape == array.shape
        np.testing.assert_array_equal(found, array)
    assert not plain.numpy().flags.writeable
    with np.load(io.BytesIO(as_npz(ArrayMapping({"file": plain})))) as packed:
        np.testing.assert_array_equal(packed["file"], array)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3), "float32"), "0"),
        (np.float32([1.5, 2, 3, 4]), "1.5, 2, 3, …"),
        (np.float16([1 / 3, 2]), "0.3333, 2"),
        (np.array([True, True]), "True"),
        (np.int64(2**53 + 1), "9007199254740993"),
        (np.complex64([1 + 2j, 3]), "1+2j, 3+0j"),
        (np.float32([np.nan, np.nan]), "nan, nan"),
        (np.zeros((3, 0)), "empty"),
    ],
)
def test_an_array_is_summed_up(array, words):
    assert PlainArray.of(np.asarray(array)).summary() == words


def test_what_numpy_lacks_is_no_plain_array():
    with pytest.raises(ValueError, match="object"):
        PlainArray.of(np.array([b"x"], object))
