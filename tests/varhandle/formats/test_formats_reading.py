"""The one door: what it accepts, what it says about everything else, and what it costs."""

import os
import random
import shutil
import subprocess
import sys
import time
import zipfile

import pytest

from varhandle.formats import hdf5_outline, read_graph
from varhandle.graph import Graph, ModelFileError


def _fault(source) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_graph(source)
    message = str(caught.value)
    assert str(caught.value.path) in message
    assert "\n" not in message
    return caught.value.fault


def test_a_missing_path(tmp_path):
    assert "no such file" in _fault(tmp_path / "nothing")
    assert "no such file" in _fault(str(tmp_path / "nothing.tflite"))
    assert "null character" in _fault("a\0b")


def test_folders_that_are_no_saved_model(tmp_path):
    assert "saved_model.pb" in _fault(tmp_path)
    (tmp_path / "model.tflite").mkdir()
    assert "saved_model.pb" in _fault(tmp_path / "model.tflite")
    (tmp_path / "saved_model.pbtxt").write_text("saved_model_schema_version: 1")
    assert "pbtxt" in _fault(tmp_path)
    (tmp_path / "nested" / "saved_model.pb").mkdir(parents=True)
    assert "saved_model.pb" in _fault(tmp_path / "nested")


@pytest.mark.parametrize("name", ["m.tflite", "m.keras", "m.h5", "m.pb", "saved_model.pb", "model"])
@pytest.mark.parametrize(
    "content", [b"", b"x", b"text, not a model\n" * 40, bytes(range(256)) * 40]
)
def test_files_that_are_no_model(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    fault = _fault(path)
    if not content and name != "saved_model.pb":
        assert "empty" in fault


def test_a_zip_archive_of_something_else(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", "weights")
    assert "config.json" in _fault(path)


def test_a_keras_file_that_unpacks_without_end(keras_models, tmp_path):
    path = tmp_path / "bomb.keras"
    shutil.copy(keras_models["sequential"].keras, path)
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**27)
        archive.writestr("model.weights.h5", weights)
    assert "larger than any model's" in _fault(path)


def test_json_nested_without_end(keras_models, tmp_path):
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(keras_models["sequential"].keras) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 10**6)
        archive.writestr("model.weights.h5", weights)
    assert "damaged" in _fault(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_neither_file_nor_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.tflite")
    assert "neither" in _fault(tmp_path / "pipe.tflite")
    assert "neither" in _fault("/dev/null")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")
    path.chmod(0)
    assert "cannot be read" in _fault(path)


def test_an_error_of_the_file_system_is_a_model_file_error(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert _fault(path) == "cannot be read: Permission denied"


@pytest.mark.parametrize("source", [None, 3, ["model.tflite"]])
def test_what_is_no_source_is_a_type_error(source):
    with pytest.raises(TypeError, match="takes a path"):
        read_graph(source)


def _modules_after(code: str, *arguments: object) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_tensorflow_is_never_imported(saved_models, tflite_files, keras_models):
    paths = [*saved_models.values(), *tflite_files.values()]
    paths += [path for saved in keras_models.values() for path in (saved.keras, saved.h5)]
    code = "import sys; from varhandle.formats import read_graph\n"
    modules = _modules_after(code + "for path in sys.argv[1:]: read_graph(path)", *paths)
    assert "varhandle.formats.saved_model_reader" in modules
    assert modules.isdisjoint({"tensorflow", "keras", "h5py"})


def test_the_import_is_light(saved_models):
    heavy = {"google.protobuf", "flatbuffers", "numpy", "h5py", "ai_edge_litert"}
    assert _modules_after("import varhandle.formats").isdisjoint(heavy)
    code = "import sys; from varhandle.formats import read_graph; read_graph(sys.argv[1])"
    modules = _modules_after(code, saved_models["counter"])
    assert modules.isdisjoint(heavy - {"google.protobuf"})


def test_a_hundred_thousand_nodes_take_seconds():
    from varhandle.formats.proto_schema import MESSAGES

    graph_def = MESSAGES["GraphDef"]()
    for i in range(500):
        graph_def.node.add(name=f"v{i}", op="VarHandleOp").attr["dtype"].type = 1
        graph_def.node.add(name=f"r{i}", op="ReadVariableOp", input=[f"v{i}"])
    for i in range(99_000):
        graph_def.node.add(
            name=f"n{i}", op="Add", input=[f"r{i % 500}", f"n{i - 1}" if i else "r0"]
        )
    started = time.monotonic()
    graph = read_graph(graph_def)
    assert time.monotonic() - started < 20  # 1.5 s on two idle cores
    assert sum(len(variable.reads) for variable in graph.variables) == 500


def _damage(data: bytes, rng: random.Random) -> bytes:
    """Cut a file short, flip bits, overwrite bytes or words, or drop some."""
    damaged = bytearray(data)
    at = rng.randrange(len(data))
    kind = rng.choice(["cut", "flip", "noise", "word", "drop"])
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "noise":
        damaged[at : at + 32] = rng.randbytes(len(damaged[at : at + 32]))
    elif kind == "word":
        word = rng.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0"])
        damaged[at // 4 * 4 : at // 4 * 4 + 4] = word
    else:
        del damaged[at : at + rng.randrange(1, 64)]
    return bytes(damaged)


def _read_or_refuse(source) -> bool:
    started = time.monotonic()
    try:
        assert isinstance(read_graph(source), Graph)
    except ModelFileError as error:
        assert "\n" not in str(error)
        return False
    finally:
        assert time.monotonic() - started < 10
    return True


@pytest.mark.parametrize("name", ["counter", "keras_saved", "control_flow"])
def test_damaged_tflite_files(tflite_files, name):
    data = tflite_files[name].read_bytes()
    rng = random.Random(name)
    mark = data[4:8]
    for _ in range(300):
        damaged = _damage(data, rng)
        _read_or_refuse(damaged[:4] + mark + damaged[8:])


def test_damaged_tflite_file_on_disk(tflite_files, tmp_path):
    data = tflite_files["counter"].read_bytes()
    path = tmp_path / "cut.tflite"
    for length in range(8, len(data), 97):
        path.write_bytes(data[:length])
        _read_or_refuse(path)


def test_damaged_graph_defs(saved_models):
    from varhandle.formats.proto_schema import MESSAGES

    content = (saved_models["control_flow"] / "saved_model.pb").read_bytes()
    saved_model = MESSAGES["SavedModel"].FromString(content)
    data = saved_model.meta_graphs[0].graph_def.SerializeToString()
    rng = random.Random("graph_def")
    outcomes = [_read_or_refuse(_damage(data, rng)) for _ in range(300)]
    assert not all(outcomes)


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
@pytest.mark.parametrize("name", ["counter", "tf1", "trainer"])
def test_damaged_saved_models(saved_models, tmp_path, name, file):
    shutil.copytree(saved_models[name], tmp_path, dirs_exist_ok=True)
    data = (tmp_path / file).read_bytes()
    rng = random.Random(name)
    for _ in range(150):
        (tmp_path / file).write_bytes(_damage(data, rng))
        _read_or_refuse(tmp_path)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_damaged_keras_files(keras_models, tmp_path, suffix):
    path = getattr(keras_models["functional"], suffix)
    data = path.read_bytes()
    rng = random.Random(suffix)
    damaged_path = tmp_path / path.name
    for _ in range(25):  # each starts a child process
        damaged_path.write_bytes(_damage(data, rng))
        _read_or_refuse(damaged_path)


def test_libhdf5_is_stopped_when_it_does_not_end(keras_models, monkeypatch):
    """Some damaged files send libhdf5 round in circles; here every file takes too long."""
    monkeypatch.setattr(hdf5_outline, "SECONDS", 0.001)
    assert "did not finish" in _fault(keras_models["sequential"].h5)


def test_libhdf5_cannot_take_all_memory(keras_models, monkeypatch):
    monkeypatch.setattr(hdf5_outline, "BYTES", 2**20)
    assert "more than 1,048,576 bytes" in _fault(keras_models["sequential"].h5)


def test_the_error_survives_its_way_out_of_a_child():
    import pickle

    error = pickle.loads(pickle.dumps(ModelFileError("a.tflite", "it is\nempty")))
    assert (error.path, error.fault) == ("a.tflite", "it is empty")
    assert str(error) == "a.tflite: it is empty"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was_after_a_model_and_after_a_fault(
    tmp_path, counting_file, enabled
):
    import gc

    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        read_graph(counting_file)
        assert gc.isenabled() is enabled
        with pytest.raises(ModelFileError):
            read_graph(bad)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
