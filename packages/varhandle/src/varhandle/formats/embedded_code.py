"""What a model file brings along that runs as code, or touches other files, once it is loaded.

A model is a program. Keras rebuilds its layers from a config that can hold Python bytecode and can
name code to import; a TensorFlow graph can hold ops that call Python, read and write files, and
talk to other machines. Here it is decided what may run without ``--trust``: the ops of a list
(``facts.graph_ops``), and what Keras's own modules for models name. This module only looks: it
imports, decodes and runs nothing of the file.

What Keras resolves was read in ``keras/src/saving/serialization_lib.py`` and
``keras/src/legacy/saving/serialization.py`` of Keras 3.15; earlier releases of Keras 3 imported any
module that a config named.
"""

from __future__ import annotations

import builtins
import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from varhandle.display import printable
from varhandle.facts.graph_ops import ONLY_IF, is_known, reason_against_name
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import CustomObject, Function, Node

_Ordinary = Callable[[str, Node], bool]


def side_effect(node: Node) -> str | None:
    """Return in words why a node may do more than compute; ``None`` for one that only computes."""
    op = node.op.removeprefix("Flex")
    attribute, harmless = ONLY_IF.get(op, ("", None))
    if harmless is not None:
        value = node.attributes.get(attribute) or ""
        text = value.decode("latin-1") if isinstance(value, bytes) else _joined(value)
        if re.fullmatch(harmless, text, re.DOTALL):
            return None
    return reason_against_name(op)


def _joined(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, tuple) else str(value)


def code_in_functions(
    functions: Sequence[Function], is_ordinary: _Ordinary = lambda *_: False
) -> tuple[str, ...]:
    """Return a line for each op that may do more than compute: where it is, and how often.

    ``is_ordinary`` says of a function's name and a node whether every sound model has it. A call
    of a function is looked into where the function is; one of an op's name may not be a call.
    """
    names = {function.name for function in functions}
    found: dict[str, list[str]] = {}
    for function in functions:
        for node in function.nodes:
            if node.op in names and not is_known(node.op):
                continue
            words = side_effect(node)
            if words is not None and not is_ordinary(function.name, node):
                where = f"node {printable(node.name)} of {printable(function.name)}"
                found.setdefault(f"{printable(node.op)} {words}", []).append(where)
    return _finding_lines(found)


def _finding_lines(found: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Write a line for each thing: the first place where it is, and how many more there are."""
    return tuple(
        sorted(f"{what}: {places[0]}{_more(len(places))}" for what, places in found.items())
    )


def _more(count: int) -> str:
    return f", and {count - 1} more" if count > 1 else ""


# Below: Keras.

_BYTECODE = "Python bytecode"
_LOADERS = {
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "TFSMLayer": "loads another SavedModel",
    "FlaxLayer": "calls a Flax module",
    "JaxLayer": "calls JAX functions",
}
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
_MODEL_PARTS = frozenset(
    {"activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics"}
    | {"engine", "models", "ops", "optimizers", "quantizers", "random", "regularizers"}
)
"""Modules of Keras whose names build a model. Others of its modules download, open and write files,
or switch the safe mode off, and have been called from configs for that."""

_OF_APPLICATIONS = {
    "CustomScaleLayer": {"scale"},
    "LayerScale": {"init_values", "projection_dim"},
    "StochasticDepth": {"drop_path_rate"},
}
"""The layers that models of ``keras.applications`` have from there, and their own settings."""


def layer_of_applications(value: Mapping[str, Any]) -> str:
    """Return the name of an object's class if ``keras.applications`` has it; empty if not.

    A ``.h5`` file tells no module, and others have a class of the same name: the settings decide.
    """
    name, config = value.get("class_name"), value.get("config")
    package = str(value.get("module", "keras")).partition(".")[0]
    if not isinstance(name, str) or not isinstance(config, Mapping) or package not in _KNOWN:
        return ""
    name = name.removeprefix("Custom>")  # as Keras 2 registered one of them
    own = config.keys() - {"name", "trainable", "dtype"}
    return name if own == _OF_APPLICATIONS.get(name) else ""


OP_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Layers of Keras 2 that stand for a function of TensorFlow, which the config names."""

_METHODS = frozenset({"ClassMethod", "InstanceMethod", "InstanceProperty"})
"""Layers of Keras 2 that stand for a method, of a class that the config names or of a tensor."""

_FUNCTION_MODULES = frozenset(
    {"__operators__", "bitwise", "image", "linalg", "math", "nn", "random", "signal"}
)
_FUNCTIONS = frozenset(
    """
    argsort batch_to_space bitcast boolean_mask broadcast_to cast clip_by_norm clip_by_value concat
    cumsum einsum ensure_shape expand_dims extract_volume_patches eye fill gather gather_nd identity
    linspace matmul meshgrid norm one_hot ones ones_like pad range rank repeat reshape reverse
    reverse_sequence roll saturate_cast scatter_nd searchsorted sequence_mask shape size slice sort
    space_to_batch split squeeze stack stop_gradient strided_slice tensor_scatter_nd_add
    tensor_scatter_nd_update tensordot tile transpose truncatediv truncatemod unstack where zeros
    zeros_like
    """.split()  # noqa: SIM905
)
"""Functions of TensorFlow's that only calculate: of these modules, and of none."""


def calculates(symbol: str) -> bool:
    """Tell whether a function of TensorFlow only calculates, by its name without the ``tf``."""
    *modules, name = symbol.removeprefix("compat.v1.").split(".")
    if modules:
        return len(modules) == 1 and modules[0] in _FUNCTION_MODULES and not name.startswith("_")
    return name in _FUNCTIONS


INITIALIZER_MODULES = tuple(f"tensorflow.python.ops.init_ops{mark}" for mark in ("", "_v2"))
"""Where TensorFlow has initializers of its own, which are named as those of Keras."""

_POLICIES = frozenset({"Policy", "PolicyV1", "LossScaleOptimizer"})
"""What Keras 2 has in its module for mixed precision, and configs name."""

_FEATURE_SPACE = frozenset({"FeatureSpace", "Feature", "Cross"})
_KNOWN = frozenset({"keras", "tf_keras", *sys.stdlib_module_names})
"""Packages whose names are never a model's own; ``builtins`` is one of Python's."""

_LOADING = frozenset(
    {"load_model", "save_model", "model_from_json", "clone_model", "deserialize", "from_config"}
)


def code_in_keras_config(*configs: Any) -> tuple[str, ...]:
    """Return a line for each kind of thing that parsed configs bring along, with its layer."""
    found: dict[str, list[str]] = {}
    for value, layer in objects_of(*configs):
        for what in _in_object(value):
            found.setdefault(what, []).append(f"in {layer}")
    return _finding_lines(found)


def custom_objects_of(*configs: Any) -> tuple[CustomObject, ...]:
    """Return what parsed configs name and do not bring along, each once.

    A function without a module (``builtins``) may be one of Keras or not; Keras alone knows.
    """
    found = (_custom(value) for value, _ in objects_of(*configs))
    return tuple(dict.fromkeys(custom for custom in found if custom is not None))


def objects_of(*configs: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield every dictionary of parsed configs, the outer ones first, and the layer it is in."""
    waiting: list[tuple[Any, str]] = [(config, "the model") for config in reversed(configs)]
    while waiting:
        value, layer = waiting.pop()
        inner: Iterable[Any] = value if isinstance(value, list) else ()
        if isinstance(value, Mapping):
            layer = _layer(value, layer)
            yield value, layer
            inner = value.values()
        nested = [(item, layer) for item in inner if isinstance(item, (dict, list))]
        waiting.extend(reversed(nested))


def _layer(value: Mapping[str, Any], outer: str) -> str:
    config = value.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    if not isinstance(name, str) or "class_name" not in value:
        return outer
    return f"{printable(value['class_name'])} {printable(name)}"


def _in_object(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield what one object of a config brings along, not counting the objects inside it."""
    name, config = value.get("class_name"), value.get("config")
    if not isinstance(name, str):
        return
    settings = config if isinstance(config, Mapping) else {}
    if name == "__lambda__":
        yield f"__lambda__ holds {_BYTECODE}"
    elif name == "Lambda":
        yield from _in_lambda(settings.get("function"))
    elif name in OP_LAYERS and not calculates(str(settings.get("function"))):
        yield f"{name} calls tf.{printable(settings.get('function'))}"
    elif name == "TensorFlowOpLayer":
        yield from _in_node_def(settings.get("node_def"))
    elif name in _METHODS and not _is_of_tensors(settings):
        where = printable(settings.get("cls_symbol", "Tensor"))
        method = printable(settings.get("method_name", settings.get("attr_name")))
        yield f"{name} calls tf.{where}.{method}"
    elif name in _LOADERS:
        yield f"{name} {_LOADERS[name]}"
    elif name in _LOOKUPS and isinstance(settings.get("vocabulary"), str):
        yield f"{name} reads the file {printable(settings['vocabulary'])}"
    elif name == "function" and isinstance(config, str):
        name = config
    if not name.startswith("__") and _custom(value) is None:
        yield from _foreign(name, value)


def _in_node_def(node_def: Any) -> Iterator[str]:
    """Yield the op of a ``TensorFlowOpLayer``, if it is not known to compute only.

    An op that is harmless with some attributes is none here: tf_keras reads them another way.
    """
    op: Any = None
    if isinstance(node_def, Mapping):
        op = node_def.get("op")
    elif isinstance(node_def, str):  # as Keras 2.0 wrote it: the serialized message
        with contextlib.suppress(DecodeError, UnicodeEncodeError):
            op = MESSAGES["NodeDef"].FromString(node_def.encode()).op
    words = reason_against_name(op) if isinstance(op, str) else "is an op that cannot be read"
    if words is not None:
        yield f"TensorFlowOpLayer: {printable(op)} {words}"


def _is_of_tensors(settings: Mapping[str, Any]) -> bool:
    """Tell whether a layer calls a public method of tensors, as Keras 2 makes such layers."""
    if "cls_symbol" in settings:
        method = str(settings.get("method_name"))
        return settings["cls_symbol"] == "RaggedTensor" and method.startswith("from_")
    return not str(settings.get("attr_name")).startswith("_")


def _in_lambda(function: Any) -> Iterator[str]:
    """Yield what a Lambda layer calls; a function named with its module is an object by itself."""
    if isinstance(function, list):  # as Keras 2 wrote it: code, defaults, closure
        yield f"Lambda holds {_BYTECODE}"
    elif not isinstance(function, Mapping):
        yield f"Lambda calls the Python function {printable(function)}"
    elif function.get("class_name") == "__lambda__":
        yield "Lambda calls a Python function of the file"


def _foreign(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the code of Python, or of Keras but for no model, that an object names."""
    if "module" not in value:
        # A .h5 file names classes only, which are looked up among all names of Keras's layers.
        if not name[:1].isupper() and "config" in value and not isinstance(value["config"], str):
            yield f"{printable(name)} is no class of Keras"
    elif not _builds_a_model(value["module"], name):
        yield f"{printable(value['module'])}.{printable(name)} is code outside Keras's layers"


def _custom(value: Mapping[str, Any]) -> CustomObject | None:
    """Return what an object names that is neither of Keras nor of Python: its author has it.

    Keras writes no module for a class of the program that saved the model.
    """
    name, module = value.get("class_name"), value.get("module")
    if name == "function" and isinstance(value.get("config"), str):
        name = value["config"]
    elif isinstance(value.get("registered_name"), str):
        name = value["registered_name"] if ">" in value["registered_name"] else name
    if not isinstance(name, str) or name.startswith("__") or module in INITIALIZER_MODULES:
        return None
    if layer_of_applications(value):
        return None
    package = module.partition(".")[0] if isinstance(module, str) else ""
    if ">" in name:
        return CustomObject(name, module if package not in _KNOWN else None)
    if "module" not in value or (module is not None and package in {"", *_KNOWN}):
        return None
    return CustomObject(name, module)


def _builds_a_model(module: Any, name: str) -> bool:
    if module == "builtins":  # how Keras writes a function of its own, or of nobody's
        return not hasattr(builtins, name)
    if module in INITIALIZER_MODULES:
        return name[:1].isupper()
    package, _, rest = f"{module}.{name}".partition(".")
    if package not in {"keras", "tf_keras"}:
        return False
    *path, last = rest.removeprefix("src.").split(".")
    if not path:
        return last not in _LOADING
    return (
        (path[0] in _MODEL_PARTS and last not in _LOADING)
        or (path[0] == "utils" and last in _FEATURE_SPACE)
        or (path[0] == "applications" and last in _OF_APPLICATIONS)
        or (path[0] == "mixed_precision" and last in _POLICIES)
    )
