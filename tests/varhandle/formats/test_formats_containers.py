"""Models in text, in a MetaGraph, in an archive; and what is no model that can be read."""

import gzip
import os
import shlex
import shutil
import stat
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zoo
from family_checks import piece, run
from printed_code import ran

from varhandle.formats import read_graph, saved_model_archive, text_proto
from varhandle.formats.proto_schema import MESSAGES
from varhandle.formats.registry import recognized_format
from varhandle.graph import ModelFileError


def fault_of(path):
    with pytest.raises(ModelFileError) as raised:
        read_graph(path)
    assert "\n" not in str(raised.value)
    return raised.value.fault


@pytest.fixture(scope="module")
def session_graph(tf, tmp_path_factory):
    """The files that a TF1 Saver writes of y = x w + b, and the answer to ones."""
    v1, folder = tf.compat.v1, tmp_path_factory.mktemp("session")
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 3], name="x")
        w = v1.get_variable("w", [3, 2], use_resource=False)
        b = v1.get_variable("b", [2], use_resource=True)
        y = tf.identity(x @ w + b, name="y")
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        for step in (1, 2):  # two checkpoints, each with every value
            session.run(b.assign([float(step), 0.0]))
            saver.save(session, str(folder / "model.ckpt"), global_step=step)
        answer = session.run(y, {x: np.ones([1, 3])})
        tf.io.write_graph(graph, str(folder / "text"), "graph.pbtxt")
        saver.export_meta_graph(str(folder / "text" / "graph.meta"), as_text=True)
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder, answer


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text/graph.pbtxt", "graph_def_text"),
        ("text/graph.meta", "meta_graph_text"),
        ("model.ckpt-2.meta", "meta_graph"),
    ],
)
def test_a_graph_is_the_same_in_every_container(session_graph, name, kind):
    folder, _ = session_graph
    graph, plain = read_graph(folder / name), read_graph(folder / "graph.pb")
    assert graph.format == kind
    assert graph.variables == plain.variables
    assert graph.functions == plain.functions


def test_a_checkpoint_stands_for_the_graph_beside_it(session_graph):
    folder, _ = session_graph
    latest = str(folder / "model.ckpt-2.meta")
    assert read_graph(folder).source == latest  # as the file called checkpoint says
    assert read_graph(folder / "model.ckpt-1").source == latest.replace("ckpt-2", "ckpt-1")
    for part in ("index", "data-00000-of-00001"):
        assert f"give {folder / 'model.ckpt-1.meta'}" in fault_of(folder / f"model.ckpt-1.{part}")


def test_of_several_checkpoints_the_one_that_is_named_or_the_last_one(session_graph, tmp_path):
    for file in session_graph[0].glob("model.ckpt-*"):
        shutil.copy(file, tmp_path / file.name)
    for index in tmp_path.glob("*.index"):
        os.utime(index, (0, 0) if "-2" in index.name else None)
    assert read_graph(tmp_path).source == str(tmp_path / "model.ckpt-1.meta")
    named = 'model_checkpoint_path: "/of/another/machine/model.ckpt-2"\n'
    (tmp_path / "checkpoint").write_text(named)
    assert read_graph(tmp_path).source == str(tmp_path / "model.ckpt-2.meta")


def test_a_checkpoint_alone_says_what_its_program_must_do(tf, session_graph, tmp_path, monkeypatch):
    folder, _ = session_graph
    for file in folder.glob("model.ckpt-1.*"):
        if file.suffix != ".meta":
            shutil.copy(file, tmp_path / file.name)
    code = piece(fault_of(tmp_path / "model.ckpt-1"), "tf.")
    with tf.Graph().as_default():
        tf.constant(1.0, name="one")
        run(code, tf=tf)
    assert read_graph(tmp_path / "model.ckpt-1").format == "meta_graph"

    monkeypatch.chdir(tmp_path)
    net = zoo.dense_model()
    before = [weight.numpy() for weight in net.weights]
    prefix = tf.train.Checkpoint(net=net).save(str(tmp_path / "objects" / "ckpt"))
    net.set_weights([0.0 * weight for weight in before])
    fault = fault_of(tmp_path / "objects")
    run(piece(fault, "tf.train"), tf=tf, net=net)
    assert all(np.array_equal(*pair) for pair in zip(before, net.weights, strict=True))
    assert prefix in fault
    run(piece(fault, "net.export"), net=net)
    assert read_graph("exported").variables
    shutil.rmtree("exported")
    module = tf.Module()
    module.kernel = tf.Variable([1.0, 2.0])
    run(piece(fault, "tf.saved_model"), tf=tf, net=module)
    assert (tmp_path / "exported" / "saved_model.pb").is_file()
    tf.train.Checkpoint(**{"layer-1": net}).save(str(tmp_path / "unnamed" / "ckpt"))
    assert "tf.train.Checkpoint(model=model)" in fault_of(tmp_path / "unnamed")


def test_weights_of_keras_2_in_a_checkpoint_are_loaded_by_it(tf, tmp_path):
    """It writes the layers of a model into the root: no attribute is restored by their name."""
    root = tf.Module()
    root.kernel = tf.Variable([1.0])
    saved = tf.train.Checkpoint(**{"layer_with_weights-0": root})
    prefix = saved.write(str(tmp_path / "weights"))
    fault, asked = fault_of(tmp_path / "weights"), []
    model = SimpleNamespace(load_weights=asked.append, save=asked.append)
    run(piece(fault, "model.load_weights"), model=model)
    run(piece(fault, "model.save"), model=model)
    assert asked == [prefix, "model.h5"]


def test_a_saved_model_as_text(saved_models, tmp_path):
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    for name in ("counter", "control_flow"):
        folder = tmp_path / name
        shutil.copytree(saved_models[name], folder)
        file = folder / "saved_model.pb"
        parsed = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(parsed))
        plain = read_graph(folder)
        file.unlink()
        text = read_graph(folder)
        assert (text.variables, text.signatures) == (plain.variables, plain.signatures)
        assert text.functions == plain.functions


def test_a_reference_in_text_is_what_it_refers_to(tf, tmp_path):
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        held = v1.saved_model.build_tensor_info(v1.get_variable("held", [2], use_resource=False))
        meta_graph = v1.train.export_meta_graph(graph=graph)
    signature = v1.saved_model.build_signature_def(outputs={"held": held}, method_name="look")
    meta_graph.signature_def["look"].CopyFrom(signature)
    meta_graph.meta_info_def.tags.append("serve")
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    text = text_format.MessageToString(saved)
    assert "dtype: DT_FLOAT_REF" in text
    (tmp_path / "saved_model.pbtxt").write_text(text)
    (read,) = read_graph(tmp_path).signatures
    assert [spec.dtype for spec in read.outputs] == ["float32"]


def test_text_that_is_no_graph(tmp_path):
    for content, fault in (
        ('node { name: "x" op: ', "damaged"),
        ("node " + "{ attr " * 5000, "damaged"),
        ("versions { producer: 9 }", "no nodes"),
        ("# item { id: 1 }", "no nodes"),
    ):
        (tmp_path / "m.pbtxt").write_text(content)
        assert fault in fault_of(tmp_path / "m.pbtxt")


TEXT_GRAPH = """
node {  # a comment: DT_NONE, names: of no field
  name: "x"
  op: "Placeholder"
  attr { key: "dtype" value { type: DT_FLOAT } }
}
node {
  name: "y"
  op: "Identity"
  input: "x"
  attr { key: "T" value { type: DT_FLOAT } }
}
versions { producer: 1882 }
"""
DAMAGES = {
    "a brace too few": ("} }\n}\nnode", "} }\nnode", 12),
    "a brace too many": ("producer: 1882 }", "producer: 1882 } }", 13),
    "no dtype": ("DT_FLOAT", "DT_FLOOT", 5),
    "a dtype in short": ("DT_FLOAT", "FLOAT", 5),
    "no field": ("input:", "inputs:", 10),
    "no message": ("versions", "vershuns", 13),
    "an open quote": ('"Identity"', '"Identity', 9),
    "no text": ("Identity", "Ident\udcffity", 9),
    "a number for a name": ('"Identity"', "7", 9),
    "a zero": ("Identity", "Identity\0\n", 9),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_text_is_told_by_its_line(tf, tmp_path, damage):
    from google.protobuf import text_format
    from tensorflow.core.framework import graph_pb2

    before, after, line = DAMAGES[damage]
    path = tmp_path / "m.pbtxt"
    path.write_text(TEXT_GRAPH)
    assert len(read_graph(path).functions[0].nodes) == 2
    text = TEXT_GRAPH.replace(before, after, 1).encode(errors="surrogateescape")
    path.write_bytes(text)
    with pytest.raises((text_format.ParseError, UnicodeDecodeError)):
        text_format.Parse(text, graph_pb2.GraphDef())
    fault = fault_of(path)
    assert f"line {line}" in fault
    assert fault.endswith("or copy all of it again")
    assert fault.isprintable()


def test_the_fields_of_a_graph_are_those_of_tensorflow(tf):
    from tensorflow.core.framework import graph_pb2

    theirs = set(text_proto._fields(graph_pb2.GraphDef.DESCRIPTOR, set()))
    ours = set(text_proto._fields(MESSAGES["GraphDef"].DESCRIPTOR, set()))
    assert theirs - ours == text_proto.UNREAD_FIELDS
    assert ours <= theirs


def test_the_words_of_a_dtype_in_a_string_are_no_dtype(tmp_path, monkeypatch):
    strings = (
        """attr { key: "s" value { s: "DT_FLOAT" } } attr { key: 't' value { s: 'DT_INT8' } }"""
    )
    text = f'node {{ name: "x" op: "Placeholder" {strings} }}'
    (tmp_path / "m.pbtxt").write_text(text)
    (node,) = read_graph(tmp_path / "m.pbtxt").functions[0].nodes
    assert [*node.attributes.values()] == ["DT_FLOAT", "DT_INT8"]
    monkeypatch.setattr(text_proto, "_LARGEST_TEXT", len(text) - 1)
    assert "more than any GraphDef has" in fault_of(tmp_path / "m.pbtxt")


@pytest.fixture
def zipped(saved_models, tmp_path):
    archive = shutil.make_archive(
        str(tmp_path / "model"), "zip", saved_models["counter"].parent, saved_models["counter"].name
    )
    return tmp_path / archive


def test_a_zipped_saved_model_is_that_model(saved_models, zipped):
    graph, plain = read_graph(zipped), read_graph(saved_models["counter"])
    assert (graph.format, graph.source) == ("saved_model_zip", str(zipped))
    assert (graph.variables, graph.signatures) == (plain.variables, plain.signatures)
    loaded = recognized_format(zipped).path_to_load(zipped)
    assert read_graph(loaded).variables == plain.variables


def add(path, name, content=b"x", mode=0):
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("{}/../../out", 0),
        ("{}/variables/../../../out", 0),
        ("{}/variables\\..\\out", 0),
        ("{}/variables/stream:name", 0),
        ("{}/variables/link", stat.S_IFLNK | 0o777),
        ("{}/assets/pipe", stat.S_IFIFO | 0o666),
        ("{}/saved_model.pb", 0),
    ],
)
def test_an_archive_that_would_write_elsewhere_is_refused(
    saved_models, zipped, tmp_path, name, mode
):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        add(zipped, name.format(saved_models["counter"].name), b"/etc/passwd", mode)
    del before[zipped]
    told = "is in it twice" if name.endswith("saved_model.pb") else "climbs out"
    assert told in fault_of(zipped)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p != zipped} == before


@pytest.mark.parametrize("place", ["{}/out", "../{}"])
def test_an_archive_whose_only_model_lies_elsewhere_is_refused(tmp_path, place):
    name = place.format(tmp_path if place.startswith("{") else "out")
    add(tmp_path / "m.zip", f"{name}/saved_model.pb")
    assert "climbs out" in fault_of(tmp_path / "m.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["m.zip"]


def test_of_an_archive_the_files_of_a_model_alone_are_unpacked(saved_models, zipped):
    name = saved_models["counter"].name
    add(zipped, f"{name}/assets.extra/requests")
    add(zipped, f"{name}/other/run.py")
    loaded = Path(recognized_format(zipped).path_to_load(zipped))
    assert (loaded / "assets.extra" / "requests").is_file()
    assert not (loaded / "other").exists()


def test_an_archive_that_was_replaced_is_read_anew(saved_models, zipped):
    first = read_graph(zipped)
    zipped.unlink()
    folder = saved_models["control_flow"]
    shutil.make_archive(str(zipped.with_suffix("")), "zip", folder.parent, folder.name)
    assert read_graph(zipped).variables == read_graph(folder).variables != first.variables


def test_an_encrypted_archive_is_to_be_unpacked(zipped):
    content = zipped.read_bytes()
    entry = content.rindex(b"PK\x01\x02")  # of the last file, whose flags are 8 bytes further
    zipped.write_bytes(content[: entry + 8] + b"\x01" + content[entry + 9 :])
    assert "it is encrypted: unpack it" in fault_of(zipped)


def test_the_size_of_an_archive_says_how_much_it_may_hold(zipped, monkeypatch):
    monkeypatch.setattr(saved_model_archive, "_ALWAYS_BYTES", 0)
    assert read_graph(zipped).variables
    monkeypatch.setattr(saved_model_archive, "_MOST_MEMBERS", 1)
    zipped.touch()
    assert "files, more than any model has" in fault_of(zipped)


@pytest.mark.parametrize("limit", ["_ALWAYS_BYTES", "_MOST_BYTES"])
def test_an_archive_that_unpacks_without_end_is_refused(saved_models, zipped, monkeypatch, limit):
    monkeypatch.setattr(saved_model_archive, limit, 2**20)
    add(zipped, f"{saved_models['counter'].name}/variables/zeros", bytes(2**26))
    assert "more than any model" in fault_of(zipped)


def test_an_archive_of_several_models_names_them(saved_models, zipped):
    add(zipped, "other/saved_model.pb")
    assert "counter" in fault_of(zipped)
    assert "other" in fault_of(zipped)


def test_a_folder_of_versions_names_the_model_in_it(saved_models, tmp_path):
    shutil.copytree(saved_models["counter"], tmp_path / "served" / "1")
    assert "give that" in fault_of(tmp_path / "served")
    assert str(tmp_path / "served" / "1") in fault_of(tmp_path / "served")


def test_a_packed_saved_model_says_how_to_unpack_it(saved_models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.make_archive("a b", "gztar", saved_models["counter"])
    command = piece(fault_of("a b.tar.gz"), "mkdir")
    assert shlex.quote("a b.tar.gz") in command
    subprocess.run(command, shell=True, check=True)
    ran(command)
    assert read_graph("unpacked").variables == read_graph(saved_models["counter"]).variables


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("m.onnx", b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0", "onnx2tf -i"),
        ("m.pb", b"\x08\x01\x12\x10\x0a\x0e", "saved_model.pb"),
        ("m.pt", b"\x80\x02}q\x00.", "litert_torch"),
        ("m.npy", b"\x93NUMPY\x01\x00", "no model"),
        ("model.json", b'{"modelTopology": {"model_config": {}}, "weightsManifest": []}', "tfjs"),
        ("model.json", b'{"modelTopology": {"node": []}, "weightsManifest": []}', "TensorFlow.js"),
        ("model.json", b'{"class_name": "Sequential", "config": {}}', "model_from_json"),
        ("model.json", b'{"modelTopology": {"class_name": "Model"}}', "tfjs"),
        ("m.gguf", b"GGUF\x03\0\0\0", "litert_torch"),
        ("m.safetensors", b'\x42\0\0\0\0\0\0\0{"w": {}}', "litert_torch"),
        ("m.litertlm", b"LITERTLM\x01\0\0\0", "litert-lm-peek"),
        ("m.tflite", POINTER, "git lfs pull"),
        ("m.keras", POINTER, "git lfs pull"),
        ("m.pb", POINTER, "git lfs pull"),
        ("saved_model.pb", POINTER, "git lfs pull"),
        ("m.tflite.gz", gzip.compress(b"TFL3", mtime=0), "gunzip -k"),
        ("m.gz", b"\x1f\x8b\x08cut short", "gunzip -k"),
        ("labels.json", b'{"a": 1}', "GraphDef"),
        ("list.json", b"[1, 2]", "GraphDef"),
    ],
)
def test_a_file_of_another_tool_says_what_to_do(tmp_path, name, content, fault):
    path = tmp_path / name
    path.write_bytes(content + b"\n" * 20)
    assert fault in fault_of(path)


def test_a_packed_file_says_how_to_unpack_it(counting_file, tmp_path):
    packed = tmp_path / "m.tflite.gz"
    packed.write_bytes(gzip.compress(counting_file))
    command = piece(fault_of(packed), "gunzip")
    subprocess.run(command, shell=True, check=True)
    ran(command)
    assert read_graph(tmp_path / "m.tflite").format == "tflite"


def test_a_folder_says_which_model_lies_in_it(saved_models, tmp_path):
    assert fault_of(tmp_path).endswith("a file or the folder of a SavedModel")
    (tmp_path / "notes.txt").touch()
    assert fault_of(tmp_path).endswith("a file or the folder of a SavedModel")
    (tmp_path / "net.tflite").touch()
    assert fault_of(tmp_path).endswith(f"there is {tmp_path}/net.tflite: give that")
    shutil.copytree(saved_models["counter"], tmp_path / "1")
    assert fault_of(tmp_path).endswith(f"there is one in {tmp_path}/1: give that")
    inside = tmp_path / "1" / "variables" / "variables.index"
    assert fault_of(inside).endswith(f"a part of a SavedModel: give the folder {tmp_path}/1")


def test_an_unpacked_keras_file_says_how_to_pack_it(keras, tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "m.keras")
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(tmp_path / "m.keras", folder, "zip")
    command = piece(fault_of(folder), "python -m zipfile")
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    ran(command)
    assert len(read_graph(f"{folder}.keras").variables) == 2


def test_archives_of_other_tools(tmp_path):
    for member, fault in (
        ("archive/data.pkl", "litert_torch"),
        ("archive/constants.pkl", "litert_torch"),
        ("detect.tflite", "detect.tflite in it"),
        ("net.onnx", "net.onnx in it"),
        ("model.weights.h5", "config.json"),  # weights alone
        ("a.npy", "--inputs"),
        ("notes.txt", "config.json"),
    ):
        path = tmp_path / f"{member.replace('/', '-')}.zip"
        add(path, member)
        assert fault in fault_of(path)
