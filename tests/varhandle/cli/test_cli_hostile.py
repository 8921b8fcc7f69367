"""A hostile model through the whole tool, with ``--trust``: only the lock holds it."""

import json
import os
import signal
import socket

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from printed_code import ran

from varhandle.cli import main
from varhandle.evaluate.reference import ask_model, loader_of
from varhandle.formats import read_graph
from varhandle.sandbox.lock import locking, why_no_lock

pytestmark = pytest.mark.skipif(
    bool(why_no_lock()), reason=f"this kernel has no lock: {why_no_lock()}"
)


HELPERS = """
import os, resource, socket, subprocess, tempfile

def placed(name):
    path = tempfile.mkdtemp() + "/" + name
    open(path, "w").write("evil")
    return path
"""
WAYS = {
    "write": "open(home + '/was-here', 'w')",
    "read": "assert open(home + '/.ssh/id').read() != 'secret'",
    "list": "os.listdir(home)",
    "connect": "socket.create_connection(('127.0.0.1', port), 3)",
    "program": "subprocess.run(['touch', home + '/touched'], check=True)",
    "fork": "os.fork() or os._exit(0)",
    "link": "os.symlink(home + '/.ssh', placed('x') + '2')",
    "memory": "open(f'/proc/{parent}/mem', 'rb')",
    "environment": "open(f'/proc/{parent}/environ', 'rb').read()",
    "replace": "os.rename(placed('x'), home + '/model.keras')",
    "mode": "os.chmod(home + '/.ssh/id', 0o777)",
    "signal": "os.kill(parent, 10)",
    "device": "os.mknod(placed('x') + '2', 0o20666, os.makedev(1, 3))",
    "limits": "resource.prlimit(parent, resource.RLIMIT_CORE)",
}


def attempts(home, server, ways, allowed):
    """Write the program that tries some ways, and gives up if more than so many worked."""
    known = {
        "worked": [],
        "allowed": allowed,
        "home": str(home),
        "parent": os.getpid(),
        "port": server.getsockname()[1],
    }
    lines = [HELPERS, *(f"{name} = {value!r}" for name, value in known.items())]
    for name in ways:
        lines += ["try:", f"    {WAYS[name]}", f"    worked.append({name!r})"]
        lines += ["except Exception as error:", "    pass"]
    lines.append("if len(worked) > allowed: raise SystemExit(f'this worked: {worked}')")
    return "\n".join(lines)


@pytest.fixture
def home(tmp_path):
    """A folder as a home is one; what our own libraries write goes to the real one."""
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True)
    (keys / "id").write_text("secret")
    return tmp_path / "home"


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


@pytest.fixture
def signals():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    yield heard
    signal.signal(signal.SIGUSR1, before)


def hostile_model(home, server, ways, allowed=0):
    """Save a model whose Lambda layer runs a program, and then doubles what it gets."""
    import keras

    run_it = eval("lambda x, program: (exec(program, {}), x * 2.0)[1]")
    layer = keras.layers.Lambda(run_it, output_shape=(3,), arguments={"program": ""})
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs))
    layer.arguments = {
        "program": attempts(home, server, ways, allowed)
    }  # not while it is built here
    model.save(home / "model.keras")


def state_of(home):
    return {
        str(path.relative_to(home)): (path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in home.rglob("*")
    }


def test_nothing_of_the_machine_is_reached(tf, home, server, signals, capsys):
    hostile_model(home, server, WAYS)
    before = state_of(home)
    out = home.parent / "out.tflite"
    code = main(["cure", str(home / "model.keras"), str(out), "--trust", "--json"])
    assert state_of(home) == before
    with pytest.raises(TimeoutError):
        server.accept()
    assert not signals
    # It would have ended the process had one way worked. What it computes is an ordinary model.
    assert (code, json.loads(capsys.readouterr().out)["cured"]) == (0, True)
    assert out.exists()


def test_without_the_lock_the_same_model_does_as_it_likes(tf, home, server):
    """Else the test above would show nothing."""
    ways = ["write", "connect", "program", "mode"]
    hostile_model(home, server, ways, allowed=len(ways))
    main(["diagnose", str(home / "model.keras"), "--trust", "--no-lock"])
    assert (home / "was-here").exists()
    assert (home / "touched").exists()
    assert (home / ".ssh" / "id").stat().st_mode & 0o777 == 0o777
    server.accept()[0].close()


@pytest.mark.parametrize("locked", [True, False])
def test_an_op_of_tensorflow_reads_nothing_outside(tf, home, locked):
    secret = str(home / ".ssh" / "id")
    module = tf.Module()
    module.step = tf.function(
        lambda x: {"y": x + tf.cast(tf.strings.length(tf.io.read_file(secret)), tf.float32)},
        input_signature=[zoo.spec(tf, 4)],
    )
    path = zoo.save(tf, home.parent, module, serving_default=module.step)
    load = loader_of(read_graph(path), "serving_default", trust=True)
    call = {"x": np.zeros(4, "float32")}
    with locking(locked):
        record = ask_model(load, [call], ["serving_default"], timeout=120)
    if locked:
        assert not record.ok
        assert "Permission denied" in record.message
    else:
        assert record.value.answers[0]["y"].tolist() == [len("secret")] * 4


def test_a_model_that_the_lock_does_not_let_load_is_not_to_be_saved_again(tf, home, capsys):
    path = home.parent / "writes"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [4])
        main_op = tf.raw_ops.WriteFile(filename=str(home / "touched"), contents="x")
        builder = tf.compat.v1.saved_model.Builder(str(path))
        tensors = tf.compat.v1.saved_model.build_tensor_info
        signature = tf.compat.v1.saved_model.build_signature_def(
            {"x": tensors(x)}, {"y": tensors(x * 2.0)}, "tensorflow/serving/predict"
        )
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=main_op
        )
        builder.save()
    assert main(["diagnose", str(path), "--trust"]) == 2
    said = capsys.readouterr().err
    assert "the lock kept outside" in said
    assert "WriteFile opens files" in said
    assert "say --no-lock" in said
    assert "save it again" not in said
    assert not (home / "touched").exists()
    main(["diagnose", str(path), "--trust", "--no-lock"])
    assert (home / "touched").exists()


def test_what_the_lock_keeps_from_both_sides_is_not_proved(tf, home, capsys):
    """The converter makes the count of files a constant: 0 where they are out of sight."""
    pattern = str(home / ".ssh" / "*")
    module = tf.Module()
    module.step = tf.function(
        lambda x: {"y": x + tf.cast(tf.size(tf.io.matching_files(pattern)), tf.float32)},
        input_signature=[zoo.spec(tf, 4)],
    )
    path = str(zoo.save(tf, home.parent, module, serving_default=module.step))
    made = home.parent / "made.tflite"
    for options, counted, code in ([], 0.0, 3), (["--no-lock"], 1.0, 0):
        assert main(["diagnose", path, "--trust", *options]) == code
        assert main(["cure", path, str(made), "--trust", *options]) == code
        runner = Interpreter(model_content=made.read_bytes()).get_signature_runner()
        assert runner(x=np.zeros(4, "float32"))["y"].tolist() == [counted] * 4
        said = capsys.readouterr().out
        assert ("MatchingFiles opens files" in said and "say --no-lock" in said) == (not options)
    ran("--no-lock")
