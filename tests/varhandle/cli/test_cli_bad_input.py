"""Every door of the command line, and every file that somebody might push through it."""

import io
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from family_checks import run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from next_steps import has_step, refusals, refusals_in
from printed_code import ran

from varhandle.atomic_write import write_all
from varhandle.cli import main, program
from varhandle.divergence import location
from varhandle.families.catalog import FAMILIES
from varhandle.formats import read_graph, tflite_bytes
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import ModelFileError

UNSAFE = "two\nlines \x1b]0;owned\x07\x1b[2J <script>alert(1)</script> \u202egnp.exe"


def refused(path, capsys, *command):
    """Return the one line that a command says about a path that it cannot use."""
    assert main([*(command or ("inspect",)), str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.isprintable()
    assert line.startswith("varhandle: ")
    return line


def graph_def(*nodes):
    message = MESSAGES["GraphDef"]()
    for name, op, *inputs in nodes:
        message.node.add(name=name, op=op, input=inputs)
    return message


def add_function(graph, name, *calls, reads=False):
    """Add a function of a handle, which gives it to others, and may read its variable."""
    function = graph.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="h", type=20)
    for number, called in enumerate(calls):
        call = function.node_def.add(name=f"c{number}", op="PartitionedCall", input=["h"])
        call.attr["f"].func.name = called
    if reads:
        function.node_def.add(name="r", op="ReadVariableOp", input=["h"])


def call_with_the_handle(graph, name):
    call = graph.node.add(name=f"c{name}", op="PartitionedCall", input=["v"])
    call.attr["f"].func.name = name


def saved_model(folder: Path, graph=None):
    message = MESSAGES["SavedModel"]()
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.CopyFrom(graph or graph_def(("c", "Const")))
    folder.mkdir(exist_ok=True)
    return message, meta_graph


def write(folder: Path, message) -> Path:
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder


# Paths.


def test_an_address_is_no_path(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("https://example.org/model.tflite", "gs://bucket/model", "file:///model"):
        assert "download the model first" in refused(address, capsys)


def test_a_strange_path_is_named_on_one_line(capsys, tmp_path):
    assert r"two\nlines \x1b]0" in refused(tmp_path / UNSAFE.replace("/", ""), capsys)
    assert r"\x00" in refused("a\0b", capsys)
    assert r"\ud800" in refused("a\ud800b", capsys)
    refused("x" * 5000, capsys)
    refused("x/" * 5000, capsys)
    refused("", capsys)


def test_links_that_lead_nowhere_or_round_in_a_circle(capsys, tmp_path):
    (tmp_path / "gone.tflite").symlink_to(tmp_path / "nothing")
    (tmp_path / "a.tflite").symlink_to(tmp_path / "b.tflite")
    (tmp_path / "b.tflite").symlink_to(tmp_path / "a.tflite")
    assert "leads nowhere" in refused(tmp_path / "gone.tflite", capsys)
    assert "leads nowhere" in refused(tmp_path / "a.tflite", capsys)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").symlink_to(tmp_path / "a.tflite")
    assert "saved_model.pb is a link to nothing" in refused(tmp_path / "model", capsys)


def test_a_model_of_links_is_read_as_download_caches_keep_it(tmp_path, counting_file, capsys):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    (blobs / "1").write_bytes(counting_file)
    snapshot.mkdir()
    (snapshot / "model.tflite").symlink_to("../blobs/1")
    message, _ = saved_model(blobs, graph_def(("v", "VarHandleOp")))
    (blobs / "2").write_bytes(message.SerializeToString())
    (snapshot / "saved_model.pb").symlink_to("../blobs/2")
    (snapshot / "variables").symlink_to("../blobs")
    assert main(["inspect", str(snapshot / "model.tflite")]) == 0
    assert main(["inspect", str(snapshot)]) == 0
    assert "1 variable" in capsys.readouterr().out


def test_a_link_to_any_other_place_is_not_followed(tmp_path, capsys):
    (tmp_path / "secret").write_text("secret")
    message, _ = saved_model(tmp_path, graph_def(("v", "VarHandleOp")))
    (tmp_path / "model").mkdir()
    write(tmp_path / "model", message)
    for name in ("fingerprint.pb", "assets/words.txt"):
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).symlink_to(tmp_path / "secret")
        assert f"{name} is a link out of the folder" in refused(tmp_path / "model", capsys)
        (tmp_path / "model" / name).unlink()
    (tmp_path / "model" / "fingerprint.pb").symlink_to("saved_model.pb")
    assert main(["inspect", str(tmp_path / "model")]) == 0


@pytest.mark.parametrize("where", ["external", "virtual", "link"])
def test_a_keras_file_whose_values_lie_elsewhere(tmp_path, capsys, where):
    """No ``--trust`` makes it whole: Keras refuses it as well, or reads somebody else's file."""
    import h5py

    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        group = file.create_group("model_weights")
        if where == "external":
            group.create_dataset("w", (2,), "f4", external=[("other", 0, 8)])
        elif where == "link":
            group["w"] = h5py.ExternalLink("other.h5", "/w")
        else:
            layout = h5py.VirtualLayout((2,), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "w", (2,))
            group.create_virtual_dataset("w", layout)
    for command in (["inspect"], ["diagnose"], ["diagnose", "--trust"]):
        assert "lies in another file" in refused(tmp_path / "m.h5", capsys, *command)


BAD_VALUES = [
    # what is at the place of the values, and the words about it
    (None, "it holds no values of dense/kernel:0"),
    ("link", "it holds no values of dense/kernel:0"),
    ("bomb", "declares 16,777,216,000,000 bytes, and stores 0"),
]


def put_values(group, what):
    import h5py

    if what == "link":  # round in a circle
        group["kernel:0"], group["other"] = map(h5py.SoftLink, ("other", "kernel:0"))
    elif what == "bomb":
        group.create_dataset("kernel:0", (2**20, 4_000_000), "f4", chunks=(1024, 2))


@pytest.mark.parametrize(("what", "told"), BAD_VALUES)
def test_a_keras_file_without_its_values(tmp_path, capsys, what, told):
    import h5py

    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
        layer = file.create_group("model_weights/dense")
        layer.attrs["weight_names"] = [b"dense/kernel:0"]
        put_values(layer.create_group("dense"), what)
    assert told in refused(tmp_path / "m.h5", capsys)


@pytest.mark.parametrize(
    ("what", "told"), [("link", "vars/kernel:0 is a link, and Keras follows none"), BAD_VALUES[2]]
)
def test_an_archive_of_keras_without_its_values(tmp_path, capsys, what, told):
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        put_values(file.create_group("layers/dense/vars"), what)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}}))
        archive.writestr("model.weights.h5", weights.getvalue())
    assert told in refused(tmp_path / "m.keras", capsys)


def _with_config(path, edit):
    """Change the config of a Keras file, as a program that wrote it wrongly would."""
    import h5py

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config, file.attrs)
            file.attrs["model_config"] = json.dumps(config)
        return
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config, metadata = json.loads(held["config.json"]), json.loads(held["metadata.json"])
    edit(config, metadata)
    held |= {"config.json": json.dumps(config), "metadata.json": json.dumps(metadata)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)


def _of_another_release(config, attributes):
    config["config"]["layers"][1]["config"]["wibble"] = 3
    attributes["keras_version"] = "3.99.0"


REFUSED = {  # how a sound model is spoiled, and what is said of it
    "shapes.h5": (
        lambda config, _: config["config"]["layers"][1]["config"].update(units=7),
        r"Keras \S+ does not load it \(Shape mismatch.*\): save it again in the program",
    ),
    "shapes.keras": (
        lambda config, _: config["config"]["layers"][1]["config"].update(units=7),
        r"Keras \S+ does not load it \(.*target variable.*\): save it again in the program",
    ),
    "newer.h5": (
        _of_another_release,
        r".*\{'wibble': 3\}\): try Keras 3\.99\.0, which wrote it, or",
    ),
    "newer.keras": (_of_another_release, r".*does not load it \(.*\): try Keras 3\.99\.0"),
    "overwritten": (None, r"TensorFlow \S+ does not load it \(.*\): save it again in the program"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_its_own_library_refuses_is_bad_input(tf, tmp_path, capsys, name):
    edit, told = REFUSED[name]
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3)])
    path = tmp_path / name
    if edit:
        model.save(path)
        _with_config(path, edit)
        with pytest.raises(Exception, match=r"."):  # Keras itself
            tf.keras.models.load_model(path)
    else:
        model.export(path, verbose=False)
        (values,) = path.glob("variables/*.data*")
        values.write_bytes(bytes(255 - byte for byte in values.read_bytes()))
    for command in (["diagnose", str(path)], ["cure", str(path), str(tmp_path / "out.tflite")]):
        assert main(command) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert re.search(f"^varhandle: {re.escape(str(path))}: {told}", printed.err)


def test_an_op_that_somebody_else_registers_is_asked_for_and_no_bad_input(tf, tmp_path, capsys):
    module = tf.Module()
    spec = tf.TensorSpec([2], tf.float32, "x")
    module.step = tf.function(lambda x: {"y": tf.abs(x, name="sizes")}, [spec])
    path = tmp_path / "saved"
    tf.saved_model.save(module, path, signatures=module.step)
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content.replace(b"\x03Abs", b"\x03Abz"))
    assert main(["diagnose", str(path), "--trust"]) == 1
    said = capsys.readouterr().out
    assert f"it needs the op Abz, which TensorFlow does not have: varhandle diagnose {path}" in said
    assert "--trust --import MODULE" in said


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_nothing_but_a_file_is_replaced(tmp_path, capsys, counting_file, kind):
    """As root, a file would take the place of a device."""
    (tmp_path / "m.tflite").write_bytes(counting_file)
    target = Path("/dev/full") if kind == "device" else tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    before = target.lstat().st_mode
    for command in ("lift", "cure"):
        assert main([command, str(tmp_path / "m.tflite"), str(target)]) == 2
        assert "cannot be written" in capsys.readouterr().err
    assert target.lstat().st_mode == before
    with pytest.raises(OSError, match="name a new file" if kind != "folder" else "directory"):
        write_all({target: b"x"})


@pytest.mark.parametrize("kind", ["device", "pipe", "nowhere", "circle", "file"])
def test_a_folder_of_results_takes_the_place_of_nothing(
    tmp_path, capsys, counting_file, kind, monkeypatch
):
    """And that is said at once, also where there would be no result to write."""
    model, target = tmp_path / "m.tflite", tmp_path / "target"
    model.write_bytes(counting_file)
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "file":
        target.write_text("mine")
    else:
        leads = {"device": "/dev/full", "nowhere": tmp_path / "absent", "circle": target}
        target.symlink_to(leads[kind])
    before = target.lstat()
    monkeypatch.setattr(location, "locate", None)
    for command in (
        ["locate", str(model), str(model), "--reduce", str(target)],
        ["locate", str(model), "--why", "--reduce", str(target)],
        ["sweep", str(model), "--output", str(target)],
    ):
        assert main(command) == 2
        printed = capsys.readouterr()
        assert "and no folder: name a new one" in printed.err
        assert (printed.out, printed.err.count("\n")) == ("", 1)
    after = target.lstat()
    assert (after.st_mode, after.st_size) == (before.st_mode, before.st_size)
    assert not (tmp_path / "absent").exists()


def test_a_link_in_the_place_of_a_half_written_file_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / f".out.{os.getpid()}").symlink_to(tmp_path / "mine")
    write_all({tmp_path / "out": b"new"})
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "out").read_bytes() == b"new"


def test_an_output_that_takes_nothing(tmp_path):
    (tmp_path / "log").write_text("nothing")
    for shell, said in ((">/dev/full", "No space left on device"), (">&-", "is closed")):
        command = f"{sys.executable} -m varhandle.cli explain {tmp_path / 'log'} {shell}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("varhandle: standard output")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_help_that_cannot_be_printed():
    for shown in ("--help", "diagnose --help"):
        command = f"{sys.executable} -u -m varhandle.cli {shown} >/dev/full"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr == "varhandle: standard output: No space left on device\n"


def test_a_working_folder_that_was_deleted(tmp_path):
    command = f"cd {tmp_path} && rmdir {tmp_path} && {sys.executable} -m varhandle.cli explain -"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, input=""
    )
    assert done.returncode == 2
    assert done.stderr == (
        "varhandle: the working folder has been deleted: change to another one\n"
    )


WAITING = """
import signal, sys, time
from varhandle.cli.program import run_program

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what nohup starts has it ignored

from varhandle.sandbox import run_isolated

def register(commands):
    wait = commands.add_parser("wait")
    wait.set_defaults(command=lambda _: run_isolated(time.sleep, 60, tensorflow=False).ok)

sys.exit(run_program("varhandle", "", "", [register], ["wait"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_program_that_is_ended_leaves_no_folder(tmp_path, number):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as program:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("isolated-*/stdout")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.glob("isolated-*/stdout"))
        program.send_signal(number)
        said = program.communicate(timeout=60)[1]
    assert program.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert said == (b"varhandle: interrupted\n" if number == signal.SIGINT else b"")


def test_a_file_that_looks_like_an_option(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-dash.pb").write_bytes(b"x")
    for command in (["inspect"], ["diagnose", "--static"], ["cure"]):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "-dash.pb"])
        assert "if -dash.pb is a file, write ./-dash.pb" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", "-other.pb"])
    assert "write ./" not in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["cure", "model", "-new.tflite"])
    assert "write ./-new.tflite" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_waited_for_nowhere(tmp_path, capsys):
    os.mkfifo(tmp_path / "m.tflite")
    assert "neither a file nor a folder" in refused(tmp_path / "m.tflite", capsys)
    message, _ = saved_model(tmp_path, graph_def(("v", "VarHandleOp")))
    write(tmp_path, message)
    (tmp_path / "variables").mkdir()
    os.mkfifo(tmp_path / "variables" / "variables.index")
    for name in ("variables/variables.index", "variables/variables.data-00000-of-00001"):
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)
        assert f"{name} is a named pipe" in refused(tmp_path, capsys)
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "fingerprint.pb")
    assert "fingerprint.pb is a named pipe" in refused(tmp_path, capsys, "diagnose")
    (tmp_path / "fingerprint.pb").unlink()
    (tmp_path / "variables" / "variables.index").mkdir()
    assert "variables.index" in refused(tmp_path, capsys)
    (tmp_path / "saved_model.pb").unlink()
    os.mkfifo(tmp_path / "saved_model.pb")
    assert "saved_model.pb is a named pipe" in refused(tmp_path, capsys)
    (tmp_path / "saved_model.pb").unlink()
    (tmp_path / "saved_model.pb").mkdir()
    assert "no saved_model.pb" in refused(tmp_path, capsys)


def test_of_two_files_the_one_that_is_at_fault_is_named(tmp_path, capsys, counting_file):
    (model := tmp_path / "model.pb").write_bytes(
        graph_def(("x", "Placeholder")).SerializeToString()
    )
    (tmp_path / "other.tflite").write_bytes(b"a model of another kind")
    (tmp_path / "half.tflite").write_bytes(counting_file[: len(counting_file) // 2])
    for options in ([], ["--bisect-settings"]):
        for name in ("absent.tflite", "other.tflite", "half.tflite"):
            command = ["locate", *options, str(model)]
            assert refused(tmp_path / name, capsys, *command).startswith(
                f"varhandle: {tmp_path / name}: "
            )


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no /proc here")
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/pagemap", "/proc/kcore"])
def test_files_of_the_kernel_without_end(path, capsys):
    line = refused(path, capsys)
    assert ("empty" in line) == (path == "/proc/self/pagemap")


def test_a_sparse_file_larger_than_any_graph_is_not_read(tmp_path, capsys):
    path = tmp_path / "m.pb"
    with path.open("wb") as file:
        file.write(b"model")
        file.truncate(2**40)
    assert "larger than any such file" in refused(path, capsys)


@pytest.mark.parametrize(
    "command",
    [["inspect"], ["diagnose"], ["diagnose", "--static", "--json"], ["explain"], ["lift", "in"]],
    ids=" ".join,
)
def test_every_door_refuses_in_one_line_what_is_not_there(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused("two\nlines \x1b[2J \u202e.tflite", capsys, *command)
    assert ("in: " if "lift" in command else r"\x1b[2J") in line


# Names that leave the folder, or the terminal.


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..\\b", "C:\\b", "\\\\server\\b"]
)
def test_an_asset_that_climbs_out_of_the_folder(tmp_path, capsys, name):
    message, meta_graph = saved_model(tmp_path)
    meta_graph.asset_file_def.add(filename=name).tensor_info.name = "c:0"
    assert "climbs out of the folder" in refused(write(tmp_path, message), capsys)
    meta_graph.asset_file_def[0].filename = "words/..txt"
    read_graph(write(tmp_path, message))


def _archive(path, members, base=None):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_an_archive_with_a_member_that_climbs_out(tmp_path, capsys, name):
    members = [("config.json", "{}"), ("model.weights.h5", ""), (name, "x")]
    assert "climbs out" in refused(_archive(tmp_path / "m.keras", members), capsys)


def test_an_archive_with_a_symbolic_link_or_too_many_members(tmp_path, capsys):
    link = zipfile.ZipInfo("assets")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [("config.json", "{}"), ("model.weights.h5", ""), (link, "/etc")]
    assert "symbolic link" in refused(_archive(tmp_path / "m.keras", members), capsys)
    many = [(f"{number}", "") for number in range(10_001)]
    assert "too many members" in refused(_archive(tmp_path / "n.keras", many), capsys)


def test_what_an_archive_declares_is_not_believed(tmp_path, capsys):
    path = _archive(tmp_path / "m.keras", [("config.json", "{}"), ("model.weights.h5", "x" * 99)])
    data = path.read_bytes().replace((99).to_bytes(4, "little"), (2**32 - 2).to_bytes(4, "little"))
    path.write_bytes(data)
    assert "damaged" in refused(path, capsys)


def unsafe_files(folder: Path):
    """Write a model in each format whose names are as bad as they can be."""
    graph = graph_def((UNSAFE, "VarHandleOp"), ("r" + UNSAFE, "Read" + UNSAFE, UNSAFE))
    graph_path = folder / "m.pb"
    graph_path.write_bytes(graph.SerializeToString())
    message, meta_graph = saved_model(folder / "saved", graph)
    meta_graph.signature_def[UNSAFE].outputs["y"].name = "r" + UNSAFE + ":0"
    return [graph_path, write(folder / "saved", message)]


def test_no_name_of_a_file_reaches_the_terminal_as_it_is(tmp_path, capsys):
    for path in unsafe_files(tmp_path):
        assert main(["inspect", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(line.isprintable() for line in lines)
        assert any(r"two\nlines \x1b]0" in line for line in lines)


def test_no_name_of_a_file_is_a_script_in_a_report(tmp_path):
    from workbook_lib.show import draw_graph, op_histogram, variable_table

    for path in unsafe_files(tmp_path):
        graph = read_graph(path)
        drawing = draw_graph(graph)
        tables = variable_table(graph), op_histogram({UNSAFE: graph, "b": graph})
        for shown in (*tables, drawing):
            assert "<script" not in shown.html()
            assert "\x1b" not in shown.html() + shown.text()
            assert "\u202e" not in shown.html() + shown.text()
        for text in (drawing.text(), drawing.svg()):
            assert all(line.isprintable() for line in text.splitlines())
        assert "<script" not in drawing.svg()


def test_a_name_that_the_terminal_cannot_write_is_no_error(tmp_path):
    path = tmp_path / "m.pb"
    path.write_bytes(graph_def(("größe層", "VarHandleOp")).SerializeToString())
    done = subprocess.run(
        [sys.executable, "-m", "varhandle.cli", "inspect", path],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"gr\xf6\xdfe" in done.stdout


# Files that claim too much, or change.


def test_a_model_of_more_signatures_than_any(tmp_path, capsys):
    message, meta_graph = saved_model(tmp_path)
    for number in range(1001):
        meta_graph.signature_def[f"s{number}"].outputs["y"].name = "c:0"
    assert "1,001 signatures" in refused(write(tmp_path, message), capsys)


@pytest.mark.parametrize("fault", ["node", "function", "main", "signature"])
def test_names_that_are_taken_or_missing(tmp_path, capsys, fault):
    message, meta_graph = saved_model(tmp_path)
    graph = meta_graph.graph_def
    if fault == "node":
        graph.node.add(name="c", op="Const")
    elif fault == "signature":
        call = graph.node.add(name="call", op="PartitionedCall")
        call.attr["f"].func.name = "nowhere"
        meta_graph.signature_def["s"].outputs["y"].name = "call:0"
    else:
        for name in ("f", "f") if fault == "function" else ("main graph",):
            graph.library.function.add().signature.name = name
    line = refused(write(tmp_path, message), capsys)
    assert ("not there" if fault == "signature" else "same name") in line


def test_functions_that_call_each_other():
    graph = graph_def(("v", "VarHandleOp"))
    for name, called in (("A", "B"), ("B", "A"), ("C", "C")):
        add_function(graph, name, called, reads=True)
        call_with_the_handle(graph, name)
    (variable,) = read_graph(graph).variables
    assert {read.function for read in variable.reads} == {"A", "B", "C"}


def test_functions_that_call_the_next_one_twice_are_drawn_in_time():
    from workbook_lib.show import draw_graph

    graph = graph_def(("v", "VarHandleOp"))
    for depth in range(60):
        add_function(graph, f"f{depth}", f"f{depth + 1}", f"f{depth + 1}")
    add_function(graph, "f60")
    assert draw_graph(read_graph(graph), function="f0").note


def test_calls_nested_ten_thousand_deep():
    graph = graph_def(("v", "VarHandleOp"))
    call_with_the_handle(graph, "f0")
    for depth in range(10_000):
        add_function(graph, f"f{depth}", f"f{depth + 1}")
    add_function(graph, "f10000", reads=True)
    (variable,) = read_graph(graph).variables
    assert [read.function for read in variable.reads] == ["f10000"]


@pytest.fixture
def large_file(tf, counting_file, tmp_path, monkeypatch):
    """A .tflite file that is read as a gigabyte would be: without its big constant."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(counting_file)
    model.buffers.append(type(model.buffers[0])(data=[7] * 2**20))
    path = tmp_path / "large.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    monkeypatch.setattr(tflite_bytes, "_READ_WHOLE", 1000)
    return path


def test_a_large_file_is_read_without_its_constants(large_file, monkeypatch):
    part = bytes(tflite_bytes.read_graph_part(large_file))
    whole = large_file.read_bytes()
    assert len(part) == len(whole)
    assert b"\x07" * 2**20 in whole
    assert b"\x07" * 1000 not in part
    assert sum(a != b for a, b in zip(part, whole, strict=True)) == 2**20
    graph = read_graph(large_file)
    monkeypatch.undo()
    assert graph == read_graph(large_file)


def test_a_file_that_is_cut_short_after_it_was_read_kills_nobody(large_file):
    """A mapped file would: the process would die of SIGBUS at the next look."""
    code = (
        "import os, sys; from varhandle.formats import tflite_bytes\n"
        "from varhandle.formats.tflite_reader import read_tflite\n"
        "for limit in (1000, 10**9):\n"
        "    tflite_bytes._READ_WHOLE = limit\n"
        "    data = tflite_bytes.read_graph_part(sys.argv[1])\n"
        "    size = os.path.getsize(sys.argv[1])\n"
        "    os.truncate(sys.argv[1], 10)\n"
        "    print(read_tflite(data, 'x'))\n"
        "    os.truncate(sys.argv[1], 0); open(sys.argv[1], 'wb').write(bytes(data))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, large_file], capture_output=True, check=False
    )
    assert done.returncode != -signal.SIGBUS
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"1 variable, 1 signature)") == 2


def test_a_file_that_is_cut_short_while_it_is_read(large_file, monkeypatch, capsys):
    size = large_file.stat().st_size
    os.truncate(large_file, size // 2)
    monkeypatch.setattr(
        tflite_bytes.os, "fstat", lambda _: os.stat_result((stat.S_IFREG,) * 6 + (size, 0, 0, 0))
    )
    assert "cut short" in refused(large_file, capsys)


def test_a_file_whose_size_is_no_constants(large_file, monkeypatch, capsys):
    monkeypatch.setattr(tflite_bytes, "_LARGEST_GRAPH", 1000)
    assert "no constant" in refused(large_file, capsys)


def test_what_is_said_of_a_damaged_file_is_about_the_file(tmp_path, counting_file, capsys):
    words = ("unpack", "struct", "buffer of", "NoneType", "codec", "message with type", "index out")
    rng = random.Random(3)
    path = tmp_path / "m.tflite"
    for _ in range(60):
        damaged = bytearray(counting_file[: rng.randrange(20, len(counting_file))])
        for _ in range(20):
            damaged[rng.randrange(8, len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        if main(["inspect", str(path)]) == 2:
            assert not [word for word in words if word in capsys.readouterr().err]


# Code that a model brings along.


@pytest.fixture(scope="module")
def lambda_model(tf, tmp_path_factory):
    """A Lambda layer that makes a file called ``it-ran``, as ``.keras`` and as ``.h5``."""
    folder = tmp_path_factory.mktemp("lambda")
    marker = folder / "it-ran"
    function = eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]")
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((2,)), layers.Lambda(function, output_shape=(2,)), layers.Dense(1)]
    )
    for suffix in ("keras", "h5"):
        model.save(folder / f"m.{suffix}")
        marker.unlink(missing_ok=True)
        tf.keras.models.load_model(folder / f"m.{suffix}", safe_mode=False)(tf.ones((1, 2)))
        assert marker.exists(), "the threat is an empty one"
        marker.unlink()
    return folder


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    "command", ["inspect", "diagnose --static", "diagnose", "diagnose --json", "cure"]
)
def test_the_code_of_a_model_does_not_run_unless_it_is_trusted(
    lambda_model, capsys, command, suffix
):
    path = lambda_model / f"m.{suffix}"
    output = [str(lambda_model / "out.tflite")] if command == "cure" else []
    code = main([*command.split(), str(path), *output])
    printed = capsys.readouterr()
    assert not (lambda_model / "it-ran").exists()
    assert not (lambda_model / "out.tflite").exists()
    codes = {"inspect": (0,), "diagnose --static": (0, 1), "cure": (1, 2)}
    assert code in codes.get(command, (3,))  # nothing was run, so nothing is proved
    if command in ("diagnose", "cure"):
        assert "Lambda" in printed.out + printed.err
    assert code != 2 or str(path) in printed.err
    if command == "diagnose":
        assert "--trust" in printed.out


# Fuzzing.


def _mutations(content):
    """Return a strategy of damaged forms of a file."""
    places = st.integers(0, len(content) - 1)
    words = st.sampled_from(
        [b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0" * 4, b"\4\0\0\0"]
    )
    edits = st.one_of(
        st.tuples(places, st.binary(min_size=1, max_size=24)),
        st.tuples(places.map(lambda at: at // 4 * 4), words),
        st.tuples(
            places.map(lambda at: at // 4 * 4), places.map(lambda n: n.to_bytes(4, "little"))
        ),
    )

    def damage(edits, cut):
        damaged = bytearray(content)
        for at, piece in edits:
            damaged[at : at + len(piece)] = piece
        return bytes(damaged[: len(damaged) - cut])

    cuts = st.one_of(st.just(0), places)
    return st.builds(damage, st.lists(edits, max_size=6), cuts)


def _holds(path, capsys):
    """Hold that a path is read, or refused in one line."""
    code = main(["inspect", str(path)])
    printed = capsys.readouterr()
    assert code in (0, 2)
    assert all(line.isprintable() for line in printed.out.splitlines())
    lines = printed.err.splitlines()
    assert len(lines) == (1 if code else 0)
    assert all(line.isprintable() and str(path) in line for line in lines)


def test_damaged_tflite_files(counting_file, tmp_path, capsys):
    path = tmp_path / "m.tflite"

    @settings(max_examples=300)
    @given(_mutations(counting_file))
    def run(content):
        path.write_bytes(content[:4] + b"TFL3" + content[8:])
        _holds(path, capsys)

    run()


_NAMES = st.sampled_from(
    ["", "a", "b", "v", "f", "g", "^a", "a:1", "v:z:0", "f:99999999999", "main graph", UNSAFE]
) | st.text(max_size=6)
_OPS = st.sampled_from(
    """
    VarHandleOp ReadVariableOp AssignVariableOp PartitionedCall While If Switch Identity IdentityN
    RestoreV2 SaveV2 Placeholder VariableV2 Assign f Const PyFunc InitializeTableFromTextFileV2
    """.split()  # noqa: SIM905
)
_NODES = st.lists(
    st.tuples(_NAMES, _OPS, st.lists(_NAMES, max_size=3), _NAMES, st.integers(-1, 130)), max_size=8
)


def _encodable(text):
    return text.encode(errors="replace").decode()


def _fill(nodes, wanted):
    for name, op, inputs, called, dtype in wanted:
        node = nodes.add(name=_encodable(name), op=op, input=map(_encodable, inputs))
        node.attr["f"].func.name = _encodable(called)
        node.attr["dtype"].type = dtype


def test_saved_models_that_make_no_sense(tmp_path, capsys):
    folder = tmp_path / "m"

    @settings(max_examples=120)
    @given(_NODES, st.lists(st.tuples(_NAMES, _NAMES, _NODES), max_size=3), _NAMES, _NAMES, _NAMES)
    def run(nodes, functions, signature, output, restore):
        message, meta_graph = saved_model(folder, MESSAGES["GraphDef"]())
        _fill(meta_graph.graph_def.node, nodes)
        for name, argument, body in functions:
            function = meta_graph.graph_def.library.function.add()
            function.signature.name = _encodable(name)
            function.signature.input_arg.add(name=_encodable(argument), type=20)
            _fill(function.node_def, body)
            meta_graph.object_graph_def.concrete_functions[_encodable(name)].bound_inputs.append(1)
        meta_graph.signature_def[_encodable(signature)].outputs["y"].name = _encodable(output)
        meta_graph.saver_def.restore_op_name = _encodable(restore)
        _holds(write(folder, message), capsys)

    run()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["class_name", "config", "name", "layers", "module", "inbound_nodes"])
            | st.sampled_from(["function", "registered_name", "batch_shape", "vocabulary"]),
            inner | st.sampled_from(["Lambda", "__lambda__", "InputLayer", "function"]),
            max_size=5,
        )
    ),
    max_leaves=25,
)


def test_keras_configs_that_make_no_sense(monkeypatch, tmp_path):
    from varhandle.formats import keras_reader
    from varhandle.formats.hdf5 import Outline

    @settings(max_examples=200)
    @given(_JSON)
    def run(config):
        outline = Outline({"": {"model_config": json.dumps(config)}})
        monkeypatch.setattr(keras_reader, "read_hdf5_outline", lambda *_: outline)
        try:
            repr(keras_reader.read_keras(tmp_path / "m.keras", is_archive=True))
        except ModelFileError as error:
            assert str(error).isprintable()

    run()


def test_only_what_is_a_file_is_taken_for_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["diagnose", "-absent.pb"])
    assert left.value.code == 2
    assert "is a file" not in capsys.readouterr().err


@pytest.mark.parametrize("more", [["m.tflite"], ["--calls", "3"], ["--inputs", "x.npz"]])
def test_why_a_model_is_refused_takes_neither_a_file_nor_calls(capsys, more):
    assert main(["locate", "m.keras", *more, "--why"]) == 2
    assert "it takes no file and no calls" in capsys.readouterr().err


def test_a_signal_that_is_ignored_stays_so(monkeypatch):
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with program.cleanup_on_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_standard_input_that_is_closed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["explain"]) == 2
    assert (
        capsys.readouterr().err
        == "varhandle: standard input: it is closed; name the file of the log\n"
    )


def test_every_refusal_in_the_source_says_what_to_do():
    found = sorted({f"{one.place}: {one.text!r}" for one in refusals()})
    assert not found, "say what to do: a command, an option, a clause with a verb, what is valid"


def test_every_fix_says_what_to_do():
    assert not [one.id for one in FAMILIES if not has_step(one.fix)]


@pytest.mark.parametrize(
    ("text", "leads_on"),
    [
        ("m.bin: no .tflite file", False),
        ("m.bin: no .tflite file; cure makes one of a model", True),
        ("m.bin: no .tflite file; varhandle cure m.bin makes one", True),
        ("m.bin: give the model that it was made from", True),
        ("m.bin: what to give is not known", False),
        ("no signature 'a'; there are: b, c", True),
        ("no signature 'a'; there are others", False),
        ("x takes float32, and not int8", True),
        ("it brings code along (SaveV2)", False),
        ("it brings code along (SaveV2); if you trust it, say --trust", True),
    ],
)
def test_a_step_is_told_from_none(text, leads_on):
    assert has_step(text) == leads_on


@pytest.mark.parametrize(
    "refusal",
    [
        'raise ModelFileError(path, "no model")',
        'fault = "no model" if path else "no path"; raise ModelFileError(path, fault)',
        'fault = "give one"; fault = "no model"; raise ModelFileError(path, fault)',
        'raise _made("no model")',
        'try: open(path)\n    except OSError as error: raise BadInputError(f"{error}") from None',
        "raise NoCureError(_NONE)",
        'return Decision((), "blocked", ("no model",))',
    ],
)
def test_a_refusal_without_a_step_is_seen_in_a_source(refusal, tmp_path):
    source = tmp_path / "added.py"
    helper = "def _made(text: str):\n    return ModelFileError('x', text)\n" * ("_made" in refusal)
    source.write_text(f"_NONE = 'no model'\n{helper}\ndef refuse(path):\n    {refusal}\n")
    assert list(refusals_in(source))
    source.write_text(re.sub(r"no (model|path)|\{error\}", r"\g<0>: name one", source.read_text()))
    assert not list(refusals_in(source))


@pytest.mark.parametrize(
    ("name", "command", "step"),
    [
        ("m.keras", ["inspect"], "it is no zip archive: save it again in the program"),
        ("m.h5", ["inspect"], "it is not in HDF5 format: save it again in the program"),
        ("m.bin", ["lift", "{}", "o.tflite"], "TFL3; cure makes one of a model"),
        (
            "c.data-00000-of-00001",
            ["inspect"],
            "other files are not there, or are damaged: copy all of them",
        ),
        ("l.csv", ["sweep", "--list"], "no such column: words, only model, signature, inputs"),
    ],
)
def test_a_refusal_says_what_to_do(name, command, step, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(b"words\nthat are no model\n")
    line = [str(path) if part == "{}" else part for part in command]
    assert main(line if "{}" in command else [*line, str(path)]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert step in told


def test_a_step_leads_on(specimen_path, counting_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(counting_file)
    Path("log").write_text("words")
    assert run_command("varhandle explain log") == 0
    assert "or try `varhandle diagnose MODEL`" in capsys.readouterr().out
    assert run_command("varhandle diagnose m.tflite") == 0

    sweep = "varhandle sweep m.tflite --output out"
    assert run_command(f"{sweep} --scheduler tcp://127.0.0.1:1") == 2
    assert "leave out --scheduler" in capsys.readouterr().err
    assert run_command(sweep) == 0
    assert run_command(f"{sweep} --baseline log") == 2
    assert "give the --output of an earlier sweep" in capsys.readouterr().err
    assert run_command("varhandle sweep m.tflite --output new --baseline out") == 0

    np.savez("calls.npz", y=np.ones((3, 4), "float32"))
    locate = f"varhandle locate {specimen_path('counter')}"
    assert run_command(f"{locate} --inputs calls.npz") == 2
    assert "the signature takes x, and not y" in capsys.readouterr().err
    np.savez("calls.npz", x=np.ones((3, 4), "float32"))
    assert run_command(f"{locate} --inputs calls.npz") == 0
    assert run_command(f"{locate} m.tflite --reduce log") == 2
    assert "and no folder: name a new one" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        run_command("varhandle locate --help")
    ran("varhandle locate --help")


def test_what_the_kernel_gives_is_to_be_written_into_a_file(capsys):
    assert "a folder: write what comes from it into a file" in refused("/dev/null", capsys)
