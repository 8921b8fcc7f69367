"""Files and folders that hold no model that can be read, and what to do with each, in one line."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from varhandle.display import printable
from varhandle.formats.regular_file import open_regular
from varhandle.graph import ModelFileError

HEAD_BYTES = 4096
_MOST_MEMBERS = 10_000
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_NO_MODEL_ATTRIBUTES = frozenset({"save_counter", "optimizer", _OBJECT_GRAPH})
_POINTER = rb"version https://git-lfs\.github\.com/"
_FETCH = "a pointer of Git LFS in the place of the file: run git lfs pull, where you cloned it"
_NO_MODEL = "of NumPy's, and no model: give it by --inputs, beside a model"
_MARKS: Sequence[tuple[bytes, str]] = (
    # The version of the format as the first field: ONNX's is 3 or more, a SavedModel's is 1.
    (
        rb"\x08[\x03-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]",
        "an ONNX model: convert it with onnx2tf (onnx2tf -i {path} -o saved_model), and give the"
        " saved_model that it writes",
    ),
    (
        rb"\x08\x01\x12",
        "a SavedModel's file under another name: call it saved_model.pb, put its variables folder"
        " beside it, and give the folder",
    ),
    (
        rb"\x80[\x02-\x05]",
        "a pickle of Python (PyTorch, scikit-learn), which is not opened: it could run any code."
        " Of a PyTorch model, litert_torch.convert(model, inputs).export('model.tflite') makes the"
        " file, in the program that has the class",
    ),
    (rb"\x93NUMPY", f"an array {_NO_MODEL}"),
    (_POINTER, _FETCH),
    (
        rb"LITERTLM",
        "a bundle of LiteRT-LM, which its own runtime takes: dump it with litert-lm-peek, of the"
        " package litert-lm-builder, and give one of its .tflite files",
    ),
    (
        rb"GGUF|.{8}\{\"",
        "weights for another tool (llama.cpp, safetensors), and no graph: of the PyTorch model that"
        " they are of, litert_torch.convert(model, inputs).export('model.tflite') makes the file",
    ),
    (rb"Rar!|7z\xbc\xaf|BZh|\xfd7zXZ", "an archive: unpack it, and give the model that is in it"),
)
_TORCH = (
    "a PyTorch file, which is not opened: it could run any code. In the program that has the"
    " model's class, litert_torch.convert(model, inputs).export('model.tflite') makes the file"
)
_TFJS_LAYERS = (
    "a model of TensorFlow.js: turn it back into a Keras file (pip install tensorflowjs 'ydf<0.12'"
    " 'setuptools<81'), (tensorflowjs_converter --input_format=tfjs_layers_model"
    " --output_format=keras {path} model.h5), and give that"
)
_TFJS_GRAPH = (
    "a graph of TensorFlow.js, which keeps no variables: give the SavedModel or the Keras file"
    " that it was made from"
)
_KERAS_CONFIG = (
    "a Keras model without its weights: model ="
    " keras.models.model_from_json(open({path!r}).read());"
    " model.load_weights('model.weights.h5'); model.save('model.keras')"
    " puts them together, and model.keras can be given"
)


def refuse_pointer(path: Path) -> None:
    """Raise ``ModelFileError`` for the text that Git keeps in the place of a large file."""
    with open_regular(path) as file:
        if re.match(_POINTER, file.read(HEAD_BYTES)):
            raise _refusal(path, _FETCH)


def refuse_foreign_file(path: Path) -> None:
    """Raise ``ModelFileError`` for a file that is known, and that is no model to be read."""
    from varhandle.formats.checkpoint import CHECKPOINT_MARK

    with open_regular(path) as file:
        head = file.read(HEAD_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        end = file.read(8)
    for mark, fault in _MARKS:
        if re.match(mark, head, re.DOTALL):
            raise _refusal(path, fault)
    if head.startswith(b"\x1f\x8b"):
        raise _refusal(path, _TAR if _holds_tar(path) else _GZIP)
    if end == struct.pack("<Q", CHECKPOINT_MARK):
        raise _checkpoint_alone(path.with_suffix(""), path)
    if re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        raise _checkpoint_alone(path.with_suffix(""), path)
    if head.lstrip()[:1] == b"{":
        _refuse_json(path)


_TAR = (
    "a packed file: unpack it (mkdir unpacked && tar xzf {path} -C unpacked), and give what is in"
    " it"
)
_GZIP = "a packed file: unpack it (gunzip -k {path}), and give what comes out"


def _holds_tar(path: Path) -> bool:
    try:
        with open_regular(path) as raw, gzip.open(raw) as file:
            return file.read(512)[257:262] == b"ustar"
    except (OSError, EOFError, zlib.error):
        return False


def _refusal(path: Path, fault: str) -> ModelFileError:
    told = fault.replace("{path!r}", repr(str(path))).replace("{path}", shlex.quote(str(path)))
    return ModelFileError(path, told)


def _refuse_json(path: Path) -> None:
    try:
        with open_regular(path) as file:
            told = json.loads(file.read(16 * 2**20))
    except (ValueError, RecursionError):
        return
    topology = told.get("modelTopology") or {} if isinstance(told, dict) else {}
    if "weightsManifest" in told or topology:
        layers = "model_config" in topology or "class_name" in topology
        raise _refusal(path, _TFJS_LAYERS if layers else _TFJS_GRAPH)
    if isinstance(told, dict) and "class_name" in told and "config" in told:
        raise _refusal(path, _KERAS_CONFIG)


def refuse_foreign_archive(path: Path, suffixes: Sequence[str]) -> None:
    """Raise ``ModelFileError`` for a zip archive that is none of Keras's.

    ``suffixes`` are those of models: one inside is to be unpacked.
    """
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()[:_MOST_MEMBERS]
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return  # whoever reads it will say so
    if "config.json" in names:
        return
    if any(name.endswith(("/data.pkl", "/constants.pkl")) for name in names):
        raise _refusal(path, _TORCH)
    whole = [name for name in names if not name.endswith(".weights.h5")]
    models = [name for name in whole if name.endswith((*suffixes, ".onnx"))]
    if models:
        fault = f"an archive with {printable(models[0])} in it: unpack it, and give that"
        raise ModelFileError(path, fault)
    if names and all(name.endswith(".npy") for name in names):
        raise ModelFileError(path, f"arrays {_NO_MODEL}")


_MODEL_NAMES = re.compile(r".+\.(tflite|keras|hdf5|h5|pbtxt|pb|meta|onnx|zip)|model\.json", re.I)
_OF_KERAS = {"config.json", "metadata.json", "model.weights.h5"}


NAME_MODEL = "; name the model itself, a file or the folder of a SavedModel"


def hint_of_folder(folder: Path) -> str:
    """Say which model lies in a folder that is no SavedModel; empty if none does."""
    try:
        names = {one.name for one in folder.iterdir() if one.is_file()}
        inner = sorted(one.parent for one in folder.glob("*/saved_model.pb"))
    except OSError:
        return ""
    if inner:
        return f"; there is one in {printable(str(inner[-1]), None)}: give that"
    if names >= _OF_KERAS:
        inside, packed = shlex.quote(str(folder)), shlex.quote(f"{folder}.keras")
        pack = f"python -m zipfile -c {packed} {inside}/*"
        return f"; it is a .keras file unpacked: pack it again ({pack}), and give that"
    found = sorted(filter(_MODEL_NAMES.fullmatch, names))
    return f"; there is {printable(str(folder / found[0]), None)}: give that" if found else ""


def checkpoint_graph(path: Path) -> Path | None:
    """Return the MetaGraph of a checkpoint, given by its folder or its prefix; else ``None``.

    Raises ``ModelFileError`` for a checkpoint without one: it holds values, and no graph.
    """
    prefix = path
    if path.is_dir():
        indexes = sorted(path.glob("*.index"), key=lambda one: (one.stat().st_mtime, one.name))
        if not indexes:
            return None
        prefix = _latest(path) or indexes[-1].with_suffix("")
    meta = prefix.with_name(prefix.name + ".meta")
    if meta.is_file():
        return meta
    if not prefix.with_name(prefix.name + ".index").is_file():
        return None
    raise _checkpoint_alone(prefix, path)


def _latest(folder: Path) -> Path | None:
    """Return the checkpoint that the file ``checkpoint`` of a folder names, if it is there."""
    try:
        with open_regular(folder / "checkpoint") as file:
            told = re.search(rb'^model_checkpoint_path: "([^"]*)"', file.read(HEAD_BYTES), re.M)
    except OSError:
        return None
    prefix = folder / Path(told[1].decode(errors="replace")).name if told else folder
    return prefix if prefix.with_name(prefix.name + ".index").is_file() else None


def _checkpoint_alone(prefix: Path, path: Path) -> ModelFileError:
    """Say what the program that built the model must do; its attributes are in the keys."""
    from varhandle.formats.checkpoint import read_checkpoint

    whole = prefix.parent.parent
    if prefix.parent.name == "variables" and (whole / "saved_model.pb").is_file():
        return ModelFileError(path, f"a part of a SavedModel: give the folder {whole}")
    if prefix.with_name(prefix.name + ".meta").is_file():
        return ModelFileError(path, f"a part of a checkpoint: give {prefix}.meta, its graph")
    try:
        keys = read_checkpoint(prefix)
    except (OSError, ValueError):
        fault = "a part of a checkpoint whose other files are not there, or are damaged"
        return ModelFileError(path, f"{fault}: copy all of them")
    if _OBJECT_GRAPH not in keys:
        how = f"tf.compat.v1.train.export_meta_graph({str(prefix) + '.meta'!r}) writes it"
        fault = f"a checkpoint holds values, and no graph: in the program that builds it, {how}"
        return ModelFileError(path, fault)
    if any(key.startswith("layer_with_weights-") for key in keys):  # as Keras 2 calls its layers
        how = (
            f"with Keras 2 or tf_keras, model.load_weights({str(prefix)!r}); model.save('model.h5')"
        )
        fault = f"weights of Keras 2, and no model: in the program that builds it, {how}"
        return ModelFileError(path, fault)
    owners = sorted({key.partition("/")[0] for key in keys} - _NO_MODEL_ATTRIBUTES)
    names = [name for name in owners if name.isidentifier()][:3] or ["model"]
    told = ", ".join(f"{name}={name}" for name in names)
    how = (
        f"tf.train.Checkpoint({told}).restore({str(prefix)!r}), then {names[0]}.export('exported') "
        f"(of a tf.Module: tf.saved_model.save({names[0]}, 'exported'))"
    )
    fault = f"a checkpoint holds values, and no graph: in the program that builds the model, {how}"
    return ModelFileError(path, fault)
