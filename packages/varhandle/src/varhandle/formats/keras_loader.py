"""Loading a Keras file with Keras, in a child process: whatever release wrote it.

What Keras 3 no longer takes of an older file is left out of a copy of it (``keras_2``); what even
then is refused, tf_keras reads, where it is installed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.display import join_names, without_color
from varhandle.errors import InternalError, VarhandleError
from varhandle.formats import keras_2
from varhandle.formats.base import RefusedByLibraryError
from varhandle.formats.custom_code import Import, import_custom
from varhandle.formats.embedded_code import custom_objects_of, objects_of
from varhandle.formats.keras_2_layers import applications_layers, lost_arguments
from varhandle.formats.keras_class import UnknownInputsError, with_inputs, with_keys
from varhandle.formats.keras_reader import is_operation_of_no_module
from varhandle.graph import CustomObject


class MissingCustomObjectError(InternalError, ValueError):
    """A model names classes or functions that neither Keras nor the imported modules have."""


class KerasLoadError(VarhandleError, ValueError):
    """Keras cannot load a model as it is, and the message says what helps."""


def load_keras(
    path: str, trust: bool = False, imports: Sequence[Import] = (), float32: bool = False
) -> Any:
    """Load a Keras model for inference, in a child process.

    With ``float32`` its layers calculate in float32, whatever policy they were saved with. What it
    was compiled with is left out. ``trust.check_trust`` has to come first: releases of
    Keras 3 ignored ``safe_mode`` for a ``.h5`` file, and imported what a config named.

    Raises:
        CustomCodeError: A module of ``imports`` cannot be imported.
        MissingCustomObjectError: The model names what none of them has.
        KerasLoadError: It is subclassed and does not tell its inputs, or is for tf_keras.
        RefusedByLibraryError: Keras says something else.
    """
    import keras

    given = import_custom(imports)
    config = _config_of(path)
    config.pop("compile_config", None)
    known = applications_layers(config) | dict(keras.saving.get_custom_objects()) | given
    named = custom_objects_of(config)
    # A class may be registered under "package>name" and be imported by its name alone.
    known |= {one.name: known[_last(one)] for one in named if _last(one) in known}
    if any(one.name not in known for one in named):  # Keras has imported what a config named
        raise _missing(config, known)
    options = {"custom_objects": known, "compile": False, "safe_mode": not trust}
    is_old = _is_of_keras_2(path)
    if is_old and (lost := lost_arguments(config)):
        raise KerasLoadError(_OF_LOST_ARGUMENTS.format(join_names(lost)))
    pruned = [v["config"]["name"] for v, _ in objects_of(config) if keras_2.is_pruned(v)]
    if changed := is_old and keras_2.adapt_config(config):
        known |= keras_2.custom_objects()
    changed |= _name_operations(config)
    if float32:
        changed |= _set_float32(config)
    if trust:
        _give_names(given)
    with _copy_with(path, config, pruned) if changed else contextlib.nullcontext(path) as readable:
        try:
            model = keras.models.load_model(readable, **options)
        except Exception as error:  # Keras raises whatever its layers raise
            if (missing := _missing(config, known)).args[0]:
                raise missing from error
            if "when calling Lambda" in str(error):
                raise KerasLoadError(_OF_A_LAMBDA.format(_words(error))) from error
            if not is_old:
                if _keras_version(path) == keras.__version__ and not _builds(config, options):
                    raise KerasLoadError(_of_config(error)) from error
                raise RefusedByLibraryError(_words(error)) from error
            return _load_with_tf_keras(path, options, _cause(str(error)))
        if not getattr(model, "inputs", None):
            return _with_inputs(model, readable)
        return with_keys(model) if isinstance(getattr(model, "input", None), dict) else model


def _builds(config: dict[str, Any], options: Mapping[str, Any]) -> bool:
    """Tell whether Keras makes a model of a config: its weights are another matter."""
    import keras
    from keras.src.legacy.saving import saving_utils

    objects = options["custom_objects"]
    try:
        if "module" in config:
            safe_mode = options["safe_mode"]
            keras.saving.deserialize_keras_object(config, objects, safe_mode=safe_mode)
        else:
            saving_utils.model_from_config(config, custom_objects=objects)
    except Exception:  # Keras raises whatever its layers raise
        return False
    return True


def _of_config(error: Exception) -> str:
    import keras

    return (
        f"Keras {keras.__version__} does not read back the config that it wrote ({_words(error)}), "
        f"and would not the next time: {EXPORT}"
    )


EXPORT = (
    'in the program that has the model, model.export("exported") loads nothing; then '
    "varhandle cure exported model.tflite"
)


def _with_inputs(model: Any, path: str) -> Any:
    """Return a model that knows its inputs; Keras loads no weights before they are made."""
    count = len(model.variables)
    try:
        made = with_inputs(model)
        if len(model.variables) > count:
            model.load_weights(path)
    except UnknownInputsError as error:
        raise KerasLoadError(str(error)) from error
    except ValueError as error:
        fault = f"its file does not have all weights: {_cause(str(error))}"
        raise RefusedByLibraryError(fault) from error
    return made


_OF_LOST_ARGUMENTS = (
    "Keras 2 wrote of a call of {} its first argument alone, so no Keras reads it back, tf_keras "
    'neither: in the program that builds the model, tf.saved_model.save(model, "exported"); then '
    "varhandle cure exported model.tflite"
)
_OF_A_LAMBDA = (
    "the function of a Lambda layer does not run here ({}): name the file that has what it calls "
    "with --import, or save the model with a layer of its own in its place"
)


def _give_names(given: Mapping[str, Any]) -> None:
    """Give the functions of Lambda layers what they call by name, as their author's program had it.

    Keras loads them with the names of one of its own modules, where ``tf`` and ``np`` are none.
    """
    import keras
    import numpy as np
    import tensorflow as tf
    from keras.src.utils import python_utils

    usual = {"tf": tf, "np": np, "keras": keras, "K": keras.backend, "ops": keras.ops}
    for name, value in {**usual, "tensorflow": tf, "numpy": np, **given}.items():
        vars(python_utils).setdefault(name, value)


_POLICIES = frozenset({"float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"})


def _set_float32(config: dict[str, Any]) -> bool:
    """Write float32 in the place of each other policy; tell whether there was one."""
    places = [
        (value, key)
        for value, _ in objects_of(config)
        for key in ("dtype", "name")
        if isinstance(value, dict) and isinstance(value.get(key), str) and value[key] in _POLICIES
    ]
    for value, key in places:
        value[key] = "float32"
    return bool(places)


def _name_operations(config: dict[str, Any]) -> bool:
    """Say of the operations of a .h5 file where Keras has them; tell whether there was one.

    See ``keras_reader.is_operation_of_no_module``.
    """
    changed = False
    for value, _ in objects_of(config):
        if not isinstance(value, dict) or not is_operation_of_no_module(value):
            continue
        place = next((m for m in _OPERATIONS if _has_operation(m, value["class_name"])), None)
        if place is not None:
            value |= {"module": place, "registered_name": value["class_name"]}
            changed = True
    return changed


_OPERATIONS = tuple(f"keras.src.ops.{part}" for part in ("numpy", "core", "nn", "math", "linalg"))
_OPERATIONS += ("keras.src.ops.image",)


def _has_operation(module: str, name: str) -> bool:
    from keras import Operation

    found = getattr(importlib.import_module(module), name, None)
    return isinstance(found, type) and issubclass(found, Operation)


def _leave_out_pruning(layer: Any) -> None:
    names = [n.decode() if isinstance(n, bytes) else n for n in layer.attrs["weight_names"]]
    own = [n for n in names if n.rpartition("/")[2].split(":")[0] not in keras_2.PRUNING_WEIGHTS]
    layer.attrs["weight_names"] = [name.encode() for name in own]


@contextlib.contextmanager
def _copy_with(path: str, config: Mapping[str, Any], pruned: Sequence[str]) -> Iterator[str]:
    """Copy a Keras file, with another config in it; ``pruned`` layers keep their own weights."""
    text = json.dumps(config).encode()
    with tempfile.TemporaryDirectory(prefix="keras-") as folder:
        copy = str(Path(folder, Path(path).name))
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as other:
                for member in archive.infolist():
                    if member.filename == "config.json":
                        other.writestr(member.filename, text)
                        continue
                    with archive.open(member) as old, other.open(member.filename, "w") as new:
                        shutil.copyfileobj(old, new)
        else:
            import h5py

            shutil.copyfile(path, copy)
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = text
                for name in pruned:
                    _leave_out_pruning(file["model_weights"][name])
        yield copy


def _is_of_keras_2(path: str) -> bool:
    return _keras_version(path).startswith(("1.", "2."))


def _keras_version(path: str) -> str:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            has_metadata = "metadata.json" in archive.namelist()
            metadata = json.loads(archive.read("metadata.json")) if has_metadata else {}
            version = metadata.get("keras_version", "")
    else:
        import h5py

        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version", "2")
    return version.decode() if isinstance(version, bytes) else str(version)


def _load_with_tf_keras(path: str, options: Mapping[str, Any], cause: str) -> Any:
    try:
        import tf_keras
    except ImportError as error:
        import tensorflow as tf

        release = ".".join(tf.__version__.split(".")[:2])
        raise KerasLoadError(
            f"a file of Keras 2 that Keras 3 does not read ({cause}); tf_keras does, and is used "
            f"where it is installed: pip install 'tf_keras=={release}.*'"
        ) from error
    try:
        return tf_keras.models.load_model(path, **options)
    except Exception as error:
        raise RefusedByLibraryError(f"a file of Keras 2: {_words(error)}") from error


def _config_of(path: str) -> dict[str, Any]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            text: Any = archive.read("config.json")
    else:
        import h5py

        with h5py.File(path, "r") as file:
            text = file.attrs["model_config"]
    config: dict[str, Any] = json.loads(text)
    return config


def _last(one: CustomObject) -> str:
    return one.name.rpartition(">")[2]


def _missing(config: Mapping[str, Any], known: Mapping[str, Any]) -> MissingCustomObjectError:
    names = [*(one.name for one in custom_objects_of(config)), *_unknown_names(config)]
    return MissingCustomObjectError(join_names(name for name in names if name not in known))


def _unknown_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Keras has to look up by its name alone, and does not have."""
    import keras

    parts = [keras, *(getattr(keras, part) for part in _PARTS)]
    for value, _ in objects_of(config):
        name, inner = value.get("class_name"), value.get("config")
        if name == "function" and value.get("module") == "builtins":
            name = None
            if isinstance(inner, str) and not _has_function(inner):
                yield inner
        elif "module" in value or not isinstance(inner, Mapping):
            name = None
        of_keras_2 = isinstance(name, str) and (name in _KERAS_2 or name.startswith("__"))
        if isinstance(name, str) and not of_keras_2 and not any(hasattr(p, name) for p in parts):
            yield name
        for setting in ("activation", "recurrent_activation"):
            name = value.get(setting)
            if isinstance(name, str) and not hasattr(keras.activations, name):
                yield name


def _has_function(name: str) -> bool:
    """Tell whether Keras has a function under this name where a file has it by its name alone.

    Some names of ``keras.activations`` it takes as the word for an activation and not here: a
    function of the author's that is called as one of these is not found.
    """
    import keras

    told = {"module": "builtins", "class_name": "function", "config": name}
    with contextlib.suppress(TypeError):
        keras.saving.deserialize_keras_object({**told, "registered_name": "function"})
        return True
    return False


_PARTS = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "optimizers", "quantizers", "regularizers"),
)
_KERAS_2 = frozenset(
    {"ClassMethod", "CuDNNGRU", "CuDNNLSTM", "DenseFeatures", "Functional", "InstanceMethod"}
    | {"InstanceProperty", "LocallyConnected1D", "LocallyConnected2D", "Policy", "PolicyV1"}
    | {"RandomHeight", "RandomWidth", "SlicingOpLambda", "SyncBatchNormalization", "TFOpLambda"}
    | {"TensorFlowOpLayer", "ThresholdedReLU"}
)
"""Classes of Keras itself that today's does not have, or does not show."""


def _words(error: Exception) -> str:
    words, kind = _cause(str(error)), type(error).__name__
    # What was looked for and is not there is no sentence.
    return f"{kind}: {words}" if isinstance(error, KeyError) else words or kind


def _cause(message: str) -> str:
    """Return what a message of Keras is about, without colors and the configs that it quotes."""
    message = without_color(message).partition("\n\nArguments received by")[0]
    last = message.rpartition("Exception encountered: ")[2]
    return " ".join(re.split(r"\s*Full object config: |\n\nconfig=\{", last)[0].split())
