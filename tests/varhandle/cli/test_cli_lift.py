"""``varhandle lift``: two files or none, one line for what cannot be lifted."""

import os
import subprocess
import sys

import numpy as np
import pytest
from stateful_modules import convert, modules

from varhandle.cli import main
from varhandle.formats import read_graph
from varhandle.lift import lift_file
from varhandle.tflite.externalize_state import lift_state


@pytest.fixture
def model(tmp_path, counting_file):
    path = tmp_path / "total.tflite"
    path.write_bytes(counting_file)
    return path


@pytest.fixture
def growing(tf, tmp_path):
    """A file that cannot be lifted."""
    path = tmp_path / "growing.tflite"
    path.write_bytes(convert(tf, modules(tf).Growing(0)))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_the_file_and_its_first_state(model, capsys):
    out = model.with_name("lifted.tflite")
    assert main(["lift", str(model), str(out)]) == 0
    printed = capsys.readouterr()
    assert "total" in printed.out
    assert str(out) in printed.out
    assert str(model.with_name("lifted.state.npz")) in printed.out
    assert printed.err == ""
    assert names(model.parent) == ["lifted.state.npz", "lifted.tflite", "total.tflite"]
    assert out.read_bytes() == lift_state(model.read_bytes()).content
    assert read_graph(out).variables == ()
    with np.load(model.with_name("lifted.state.npz"), allow_pickle=False) as state:
        assert {name: value.tolist() for name, value in state.items()} == {"total": [0.0] * 4}


def test_the_two_files_are_all_that_a_caller_needs(model):
    from ai_edge_litert.interpreter import Interpreter

    made = lift_file(model, model.with_name("lifted.tflite"))
    state = dict(np.load(made.state))
    run = Interpreter(str(made.model)).get_signature_runner()
    for value in (1, 2, 3):
        answers = run(x=np.full(4, value, "float32"), **state)
        state = {name: answers.pop(name) for name in state}
    (total,) = answers.values()
    np.testing.assert_array_equal(total, np.full(4, 6, "float32"))


def test_a_name_that_numpys_own_writer_cannot_take(tf, tmp_path):
    class Filed(tf.Module):
        signatures = ("step",)

        def __init__(self):
            super().__init__()
            self.file = tf.Variable(3.0, name="file")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def step(self, x):
            return {"y": self.file.assign_add(x)}

    path = tmp_path / "filed.tflite"
    path.write_bytes(convert(tf, Filed()))
    assert main(["lift", str(path), str(tmp_path / "out.tflite")]) == 0
    assert np.load(tmp_path / "out.state.npz")["file"] == 3.0


def test_a_file_without_state_is_copied_and_told(model, capsys):
    once, twice = model.with_name("once.tflite"), model.with_name("twice.tflite")
    assert main(["lift", str(model), str(once)]) == 0
    capsys.readouterr()
    assert main(["lift", str(once), str(twice)]) == 0
    assert "no resource variable" in capsys.readouterr().out
    assert twice.read_bytes() == once.read_bytes()
    assert dict(np.load(model.with_name("twice.state.npz"))) == {}


def refused(arguments, capsys, *parts):
    """Run the command, which must refuse in one line, and leave every file as it was."""
    assert main(["lift", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    for part in parts:
        assert str(part) in printed.err


def test_what_cannot_be_lifted_leaves_what_is_there(growing, capsys):
    out = growing.with_name("out.tflite")
    out.write_bytes(b"mine")
    growing.with_name("out.state.npz").write_bytes(b"mine too")
    refused([growing, out], capsys, growing, "rows starts empty and grows")
    assert out.read_bytes() == b"mine"
    assert growing.with_name("out.state.npz").read_bytes() == b"mine too"
    assert names(growing.parent) == ["growing.tflite", "out.state.npz", "out.tflite"]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("text.tflite", b"a text that calls itself a model\n", "mark TFL3"),
        ("empty.tflite", b"", "empty"),
        ("damaged.tflite", b"\x1c\x00\x00\x00TFL3" + bytes(40), "damaged"),
        ("nowhere.tflite", None, "No such file"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, capsys, name, content, fault):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    before = names(tmp_path)
    refused([path, tmp_path / "out.tflite"], capsys, path, fault)
    assert names(tmp_path) == before
    refused([tmp_path, tmp_path / "out.tflite"], capsys, tmp_path, "directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.tflite")
    pipe, out = tmp_path / "pipe.tflite", tmp_path / "out.tflite"
    refused([pipe, out], capsys, pipe, "neither a file nor a folder")


@pytest.mark.parametrize("out", ["", ".", "..", "/"])
def test_a_place_without_a_name_cannot_be_written(model, capsys, out):
    refused([model, out], capsys, "cannot be written: Is a directory")


@pytest.mark.parametrize("length", [250, 300])
def test_a_name_that_is_too_long_cannot_be_written(model, capsys, length):
    refused([model, model.with_name("a" * length)], capsys, "cannot be written: File name too long")
    assert names(model.parent) == ["total.tflite"]


def test_the_state_does_not_overwrite_the_input(model, capsys):
    odd = model.rename(model.with_name("total.state.npz"))
    before = odd.read_bytes()
    refused([odd, odd.with_name("total.tflite")], capsys, odd, "would be overwritten")
    assert odd.read_bytes() == before
    assert names(odd.parent) == ["total.state.npz"]


def test_the_input_is_not_overwritten(model, capsys):
    before = model.read_bytes()
    refused([model, model], capsys, model, "would be overwritten")
    model.with_name("same.tflite").symlink_to(model)
    refused([model, model.with_name("same.tflite")], capsys, "would be overwritten")
    assert model.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(model, capsys):
    target = model.with_name("folder") / "out.tflite"
    refused([model, target], capsys, target, "cannot be written")
    (model.parent / "taken.state.npz").mkdir()
    target = model.with_name("taken.tflite")
    refused([model, target], capsys, target, "cannot be written")
    assert names(model.parent) == ["taken.state.npz", "total.tflite"]


def test_a_write_that_fails_half_way_leaves_nothing(model, capsys, monkeypatch):
    synced = []

    def full(file):
        synced.append(file)
        if len(synced) == 2:  # the state, after the model
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = model.with_name("out.tflite")
    refused([model, out], capsys, out, "No space left on device")
    assert names(model.parent) == ["total.tflite"]


def test_the_process_imports_no_tensorflow(model):
    source = (
        "import sys; from varhandle.cli import main\n"
        "code = main(['lift', sys.argv[1], sys.argv[2]])\n"
        "print(code, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", source, model, model.with_name("out.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
