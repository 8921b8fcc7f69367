"""The one door: what it accepts, what it says about everything else, and what it costs."""

import gc
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from varhandle.families.catalog import FAMILIES
from varhandle.formats import FORMATS, format_of, keras_reader, looks_like_model, read_graph
from varhandle.formats.proto_schema import MESSAGES
from varhandle.formats.registry import recognized_format
from varhandle.graph import Graph, ModelFileError
from workbook_lib.locations import project_root


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


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("m.tflite", "mark TFL3"), ("m.keras", "no zip archive"), ("m.h5", "HDF5 format")),
        *(("m.pb", "GraphDef"), ("saved_model.pb", "saved_model.pb"), ("model", "GraphDef")),
    ],
)
def test_files_that_are_no_model(tmp_path, name, fault):
    for content in (b"x", b"text, not a model\n" * 40, bytes(range(256)) * 40):
        (tmp_path / name).write_bytes(content)
        assert fault in _fault(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    assert ("empty" if name != "saved_model.pb" else fault) in _fault(tmp_path / name)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (None, "no config.json"),
        (b" " * 2**27, "larger than any model's"),
        (b"[" * 10**6, "damaged"),
    ],
    ids=["another archive", "unpacks without end", "nested without end"],
)
def test_archives_that_are_no_keras_model(keras_models, tmp_path, config, fault):
    with zipfile.ZipFile(keras_models["sequential"].keras) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", weights)
        if config is not None:
            archive.writestr("config.json", config)
    assert fault in _fault(tmp_path / "m.keras")


def test_an_error_of_the_file_system_is_a_model_file_error(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    fault = "cannot be read: Permission denied: check the path, and your rights to it"
    assert _fault(path) == fault


def test_what_is_no_source_is_a_type_error():
    for source in (None, 3, ["model.tflite"]):
        with pytest.raises(TypeError, match="takes a path"):
            read_graph(source)


def test_only_a_graph_is_read_from_memory(keras_models):
    for path in (keras_models["sequential"].keras, keras_models["sequential"].h5):
        with pytest.raises(ModelFileError, match="not read from memory"):
            read_graph(path.read_bytes())


def test_each_format_has_one_class(saved_models, tflite_files, keras_models, tmp_path):
    """Of text, MetaGraphs and archives, ``test_formats_containers`` says which they are."""
    graph_def = tmp_path / "graph.pb"
    graph_def.write_bytes(
        MESSAGES["GraphDef"](node=[{"name": "x", "op": "NoOp"}]).SerializeToString()
    )
    archive, hdf5 = keras_models["sequential"].keras, keras_models["sequential"].h5
    files = [saved_models["counter"], tflite_files["counter"], archive, hdf5, graph_def]
    classes = [type(recognized_format(path)).__name__ for path in files]
    assert classes == ["SavedModel", "TFLite", "KerasArchive", "KerasHDF5", "GraphDef"]
    ids = [read_graph(path).format for path in files]
    assert ids == ["saved_model", "tflite", "keras", "keras", "graph_def"]  # programs read them
    assert all(format_of(read_graph(path)).id == read_graph(path).format for path in files)
    assert [looks_like_model(path) for path in files] == [True] * 5
    assert not looks_like_model(tmp_path)
    assert not looks_like_model(tmp_path / "notes.txt")


def test_nothing_else_compares_formats():
    """Whoever does ``if graph.format == ...`` wants a question that a format answers."""
    compared = re.compile(r"[.]format (==|!=|in|not in) |[.](endswith|suffix)\b.*[.]tflite")
    found = [
        f"{path.name}: {line.strip()}"
        for folder in ("packages", "workbook_lib")
        for path in (project_root() / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if compared.search(line)
    ]
    assert found == []
    ids = {each.id for each in FORMATS}
    assert all(ids.issuperset(family.graph_rules) for family in FAMILIES)


def test_tensorflow_is_never_imported(saved_models, tflite_files, keras_models):
    paths = [*saved_models.values(), *tflite_files.values()]
    paths += [path for saved in keras_models.values() for path in (saved.keras, saved.h5)]
    code = (
        "import sys; from varhandle.formats import read_graph\n"
        "for path in sys.argv[1:]: read_graph(path)\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(ran.stdout.split())
    assert "varhandle.formats.saved_model_reader" in modules
    assert modules.isdisjoint({"tensorflow", "keras", "h5py"})


def test_a_hundred_thousand_nodes_are_read():
    """In seconds: what took the square of their number would not come to an end here."""
    graph_def = MESSAGES["GraphDef"]()
    for i in range(500):
        graph_def.node.add(name=f"v{i}", op="VarHandleOp").attr["dtype"].type = 1
        graph_def.node.add(name=f"r{i}", op="ReadVariableOp", input=[f"v{i}"])
    for i in range(99_000):
        graph_def.node.add(
            name=f"n{i}", op="Add", input=[f"r{i % 500}", f"n{i - 1}" if i else "r0"]
        )
    graph = read_graph(graph_def)
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
    try:
        assert isinstance(read_graph(source), Graph)
    except ModelFileError as error:
        assert "\n" not in str(error)
        return False
    return True


def test_damaged_tflite_files(tflite_files):
    data = tflite_files["control_flow"].read_bytes()
    rng = random.Random("tflite")
    for _ in range(300):
        damaged = _damage(data, rng)
        _read_or_refuse(damaged[:4] + data[4:8] + damaged[8:])


def test_damaged_graph_defs(saved_models):
    content = (saved_models["control_flow"] / "saved_model.pb").read_bytes()
    saved_model = MESSAGES["SavedModel"].FromString(content)
    data = saved_model.meta_graphs[0].graph_def.SerializeToString()
    rng = random.Random("graph_def")
    outcomes = [_read_or_refuse(_damage(data, rng)) for _ in range(300)]
    assert not all(outcomes)


@pytest.mark.parametrize("name", ["counter", "tf1", "trainer"])
def test_damaged_saved_models(saved_models, tmp_path, name):
    shutil.copytree(saved_models[name], tmp_path, dirs_exist_ok=True)
    file = tmp_path / "saved_model.pb"
    data, rng = file.read_bytes(), random.Random(name)
    for _ in range(150):
        file.write_bytes(_damage(data, rng))
        _read_or_refuse(tmp_path)


def test_damaged_hdf5_files(keras_models, tmp_path):
    data, rng = keras_models["functional"].h5.read_bytes(), random.Random("h5")
    for _ in range(300):
        (tmp_path / "m.h5").write_bytes(_damage(data, rng))
        _read_or_refuse(tmp_path / "m.h5")


@pytest.mark.parametrize(
    ("limit", "value", "fault"),
    [("SECONDS", 0.001, "longer than it may"), ("BYTES", 2**20, "more than 1,048,576 bytes")],
)
def test_libhdf5_is_stopped(keras_models, monkeypatch, limit, value, fault):
    """Some damaged files send libhdf5 round in circles; here every file takes too much.

    One that is read before anybody looks at the clock is read again.
    """
    graph = read_graph(keras_models["sequential"].h5)
    monkeypatch.setattr(keras_reader, limit, value)
    with pytest.raises(ModelFileError, match=fault):
        for _ in range(20):
            format_of(graph).variable_values(graph)


def test_the_error_survives_its_way_out_of_a_child():
    error = pickle.loads(pickle.dumps(ModelFileError("a.tflite", "it is\nempty")))
    assert (error.path, error.fault) == ("a.tflite", "it is empty")
    assert str(error) == "a.tflite: it is empty"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was(tmp_path, counting_file, enabled):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        read_graph(counting_file)
        assert gc.isenabled() is enabled
        with pytest.raises(ModelFileError):
            read_graph(tmp_path / "bad.tflite")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
