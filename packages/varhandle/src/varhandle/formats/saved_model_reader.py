"""SavedModel folders, read without TensorFlow.

What a variable holds is decided as the converter decides it, by the graph: the restore op assigns
each handle from one key of the checkpoint, and a handle that it does not assign stays empty. The
object graph beside it, which ``tf.saved_model.load`` uses instead, can disagree: Keras 3 objects
saved with ``tf.saved_model.save`` restore a copy of each variable, not the one that signatures
read.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError

from varhandle.display import printable
from varhandle.errors import CHECK_PATH, system_fault
from varhandle.formats.checkpoint import read_checkpoint
from varhandle.formats.embedded_code import code_in_functions
from varhandle.formats.foreign import refuse_pointer
from varhandle.formats.graph_def_reader import (
    MAIN_GRAPH,
    main_entry,
    read_functions,
    read_shape,
    refuse_broken_edges,
    taken_names,
)
from varhandle.formats.proto_bytes import read_message
from varhandle.formats.proto_schema import MESSAGES, dtype_of_number
from varhandle.formats.regular_file import check_folder, read_regular
from varhandle.formats.text_proto import parse_text
from varhandle.graph import (
    Graph,
    ModelFileError,
    Node,
    Signature,
    TensorSpec,
    Variable,
    damaged_file,
)
from varhandle.graph.model import closure, output_index, refuse_too_much
from varhandle.graph.op_roles import CHECKPOINT_OPS, RESTORE_OPS, VARIABLES, variable_role
from varhandle.graph.resource_flow import EntryPoint, Handle, ResourceFlow, find_handles

_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSET_READERS = re.compile(r"InitializeTableFromTextFile(V2)?|ReadFile")
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""How the checkpoint key of a tracked variable ends, after the path of its owner."""


def read_saved_model(path: Path, source: str) -> Graph:
    """Read a SavedModel from its ``saved_model.pb`` or ``.pbtxt``; ``variables`` lies beside it.

    Raises ``ModelFileError`` if it is damaged, and ``OSError`` if a file cannot be read.
    """
    graphs = meta_graphs(path, source)
    readers = [_Reader(each, path.parent, source) for each in graphs]
    graph = readers[0].read()
    code = {line for reader in readers for line in reader.embedded_code()}
    has_slots = any(len(each.slot_variables) for each in graphs[0].object_graph_def.nodes)
    return replace(graph, embedded_code=tuple(sorted(code)), has_old_optimizer=has_slots)


def meta_graphs(path: Path, source: str) -> list[Any]:
    """Return the MetaGraphDefs of a ``saved_model.pb``, the one that serves first.

    Raises ``ModelFileError`` if it is damaged, and ``OSError`` if it cannot be read.
    """
    try:
        check_folder(path.parent)
    except OSError as error:
        raise ModelFileError(source, system_fault(error, CHECK_PATH)) from error
    if path.suffix == ".pbtxt":
        saved_model = parse_text("SavedModel", read_regular(path), source)
    else:
        try:
            saved_model = MESSAGES["SavedModel"].FromString(read_message(path, "SavedModel"))
        except DecodeError as error:
            refuse_pointer(path)
            raise damaged_file(source, f"{path.name} is damaged or cut short") from error
    graphs = saved_model.meta_graphs
    if not graphs:
        raise damaged_file(source, f"{path.name} holds no graph: it is damaged or no SavedModel")
    # TensorFlow looks for the graph with exactly this tag.
    tags = [set(graph.meta_info_def.tags) for graph in graphs]
    order = sorted(range(len(graphs)), key=lambda i: (tags[i] != {"serve"}, "serve" not in tags[i]))
    return [graphs[i] for i in order]


def variable_keys(meta_graph: Any, folder: Path, source: str) -> dict[str, str]:
    """Return the checkpoint key that each variable of a MetaGraphDef is restored from."""
    return _Reader(meta_graph, folder, source).keys()


class _Reader:
    """Reads one MetaGraphDef of a SavedModel."""

    def __init__(self, meta_graph: Any, folder: Path, source: str) -> None:
        self._meta_graph = meta_graph
        self._folder = folder
        self._source = source
        self._functions = read_functions(meta_graph.graph_def, source)
        self._named = frozenset(function.name for function in self._functions)
        self._main = self._functions[0]
        self._nodes = {node.name: node for node in self._main.nodes}
        self._refuse_broken_edges()
        self._flow = ResourceFlow(self._functions, output_index)

    def read(self) -> Graph:
        self._refuse_assets_outside()
        nodes = sum(len(function.nodes) for function in self._functions)
        refuse_too_much(self._source, nodes, len(self._meta_graph.signature_def))
        version = self._meta_graph.meta_info_def.tensorflow_version
        signatures = tuple(self._read_signatures())
        variables = sorted(self._read_variables(), key=lambda variable: variable.name)
        return Graph(
            self._source,
            "saved_model",
            self._functions,
            tuple(variables),
            signatures,
            f"TensorFlow {version}" if version else None,
        )

    def _refuse_broken_edges(self) -> None:
        graph = self._meta_graph
        live = None  # TensorFlow 1 knows no objects, and imports the whole main graph
        if graph.object_graph_def.nodes:
            ends = [_producers(one.outputs) for one in self._signature_defs.values()]
            live = self._needed(itertools.chain.from_iterable(ends))
        refuse_broken_edges(self._functions, graph.graph_def, self._source, live)

    def _needed(self, names: Iterable[str]) -> Container[str]:
        """Return the nodes of the main graph that some wait for, and these."""
        return closure(names, lambda name: taken_names(self._nodes.get(name)))

    def keys(self) -> dict[str, str]:
        """Return the checkpoint key of each variable that the restore op assigns."""
        return self._restored_keys(find_handles(self._functions, VARIABLES))

    @cached_property
    def _assets(self) -> list[Any]:
        """The files that the model brings along; TensorFlow 1 wrote them into a collection.

        As TensorFlow takes them: a collection beside the list, or of another type, is passed over.
        """
        graph = self._meta_graph
        packed = graph.collection_def["saved_model_assets"].any_list.value
        own = [p.value for p in packed if p.type_url.endswith("/tensorflow.AssetFileDef")]
        try:
            return list(graph.asset_file_def) or list(map(MESSAGES["AssetFileDef"].FromString, own))
        except DecodeError as error:
            raise damaged_file(self._source, f"its list of assets is damaged: {error}") from error

    def _refuse_assets_outside(self) -> None:
        """Refuse a model whose asset is another file than one of its own: loading would read it."""
        for asset in self._assets:
            path = PurePosixPath(asset.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in asset.filename:
                fault = f"its asset {printable(asset.filename)} climbs out of the folder"
                raise damaged_file(self._source, fault)

    @property
    def _signature_defs(self) -> dict[str, Any]:
        defs = self._meta_graph.signature_def
        return {name: defs[name] for name in sorted(defs) if name != _INIT_SIGNATURE}

    def _read_signatures(self) -> Iterator[Signature]:
        for name, signature_def in self._signature_defs.items():
            ends = _producers(signature_def.outputs)
            # TensorFlow 2 keeps a signature in a function of its own and calls that; before, a
            # signature was a part of the main graph.
            node = self._nodes.get(ends[0]) if len(ends) == 1 else None
            function = node.calls[0] if node and len(node.calls) == 1 else self._main.name
            if function not in self._named:
                fault = f"its signature {printable(name)} calls a function that is not there"
                raise damaged_file(self._source, fault)
            self._refuse_lost_tensors(name, signature_def)
            inputs = _tensor_specs(signature_def.inputs)
            outputs = _tensor_specs(signature_def.outputs)
            sides = (ends, _producers(signature_def.inputs)) if function == self._main.name else ()
            yield Signature(name, function, inputs, outputs, *sides)

    def _refuse_lost_tensors(self, name: str, signature_def: Any) -> None:
        for info in (*signature_def.inputs.values(), *signature_def.outputs.values()):
            # A sparse or composite tensor has no name of its own.
            if info.name and info.name.partition(":")[0] not in self._nodes:
                fault = f"its signature {printable(name)} names the tensor {printable(info.name)!r}"
                raise damaged_file(self._source, f"{fault}, which is not there")

    def _read_variables(self) -> Iterator[Variable]:
        handles = find_handles(self._functions, VARIABLES)
        if not handles:
            return
        keys = self._restored_keys(handles)
        held = self._held_keys()
        loading = self._entry(None, self._init_tensors())
        entries = [
            self._entry(name, (info.name for info in signature_def.outputs.values()))
            for name, signature_def in self._signature_defs.items()
        ]
        if not entries:
            entries = [self._bind_concrete_functions(handles, keys)]
        for handle in handles:
            key = keys.get(handle.name)
            reads, assigns = self._flow.accesses(handle, entries)
            _, initializers = self._flow.accesses(handle, [loading])
            yield Variable(
                handle.name,
                handle.dtype,
                handle.shape,
                reads,
                assigns,
                initialized=key in held or bool(initializers),
                owner=_owner(key),
            )

    def _entry(self, signature: str | None, tensors: Iterable[str]) -> EntryPoint:
        """Return what runs to make some tensors or run some nodes of the main graph."""
        names = (tensor.partition(":")[0] for tensor in tensors)
        live = self._needed(names)
        return main_entry(signature, self._main, self._flow, live)

    def embedded_code(self) -> tuple[str, ...]:
        """List what runs beyond computing; the saver's own ops and look-up tables are ordinary.

        A saver's save is one that neither a signature runs nor the loading of the model. What
        nothing runs is ordinary too: see ``_runs``.
        """
        saver = self._meta_graph.saver_def
        called = self._entry(None, self._called_tensors())
        runs = self._runs(called)
        restored = self._entry(None, [saver.restore_op_name])
        saved = self._entry(None, [saver.save_tensor_name])
        reads_assets = self._reads_only_assets()
        prefix = (MAIN_GRAPH, saver.filename_tensor_name.partition(":")[0])
        given = self._flow.origins([prefix]) | {prefix}

        def is_ordinary(function: str, node: Node) -> bool:
            if not runs(function, node.name):
                return True
            if _ASSET_READERS.fullmatch(node.op):
                return reads_assets
            if node.op not in CHECKPOINT_OPS or called.runs(function, node.name):
                return False
            if restored.runs(function, node.name):
                start = [(function, source) for source in node.sources[:1]]
                return node.op in RESTORE_OPS and self._flow.origins(start) <= given
            return node.op not in RESTORE_OPS and saved.runs(function, node.name)

        return code_in_functions(self._functions, is_ordinary)

    def _called_tensors(self) -> list[str]:
        """Return what is run to load the model, but for its restore op, or to call a signature."""
        infos = [i for d in self._signature_defs.values() for i in d.outputs.values()]
        return [*itertools.chain.from_iterable(map(_tensor_names, infos)), *self._init_tensors()]

    def _runs(self, called: EntryPoint) -> Callable[[str, str], bool]:
        """Return what tells whether a node may run; a TensorFlow 1 program leaves more behind.

        The boundary, which has to be as wide as what TensorFlow's loaders fetch (``load_v1_in_v2``,
        ``loader_impl`` and ``loader.cc``): the outputs of every signature, the saver's restore op,
        the init op and the main op; and where there is neither, the loader of TensorFlow 2 runs the
        initializers of tables and of local variables, which collections name. Assets are fed, so
        nothing behind them runs, but they are no boundary here. All that lies behind one of these,
        by value or control, is held to the list. So is the saver's save op, which nobody runs, as
        far as it is no saver's. Only nodes of the main graph are left out: a function may be
        run by other ways than by a call. And only where there are no objects, which bring
        initializers of their own.
        """
        graph = self._meta_graph
        if graph.HasField("object_graph_def"):
            return lambda *_: True
        saver = graph.saver_def
        saved = self._entry(None, [saver.restore_op_name, saver.save_tensor_name])
        loaded = self._entry(None, self._collected_tensors())
        entries = (called, saved, loaded)
        return lambda function, node: (
            function != MAIN_GRAPH or any(entry.runs(function, node) for entry in entries)
        )

    def _collected_tensors(self) -> list[str]:
        """Return the nodes in collections, and those that initialize local variables."""
        collections = self._meta_graph.collection_def
        named = [name for one in collections.values() for name in one.node_list.value]
        local = collections["local_variables"].bytes_list.value
        try:
            variables = list(map(MESSAGES["VariableDef"].FromString, local))
        except DecodeError as error:
            raise damaged_file(self._source, f"its local variables are damaged: {error}") from error
        return [*named, *(variable.initializer_name for variable in variables)]

    def _reads_only_assets(self) -> bool:
        """Tell whether what reads a file, as look-up tables do, reads assets of the model alone."""
        infos = (asset.tensor_info for asset in self._assets)
        assets = {(MAIN_GRAPH, info.name.partition(":")[0]) for info in infos}
        names = [
            (function.name, node.sources[-1])  # the last argument is the file's name
            for function in self._functions
            for node in function.nodes
            if _ASSET_READERS.fullmatch(node.op) and node.sources
        ]
        origins = self._flow.origins(names)
        # TensorFlow 2 passes the path of an asset on in a variable.
        own = {name for f, name in origins if f == MAIN_GRAPH and name in self._nodes}
        handles = {(MAIN_GRAPH, n) for n in own if variable_role(self._nodes[n].op) == "handle"}
        anywhere = EntryPoint(None, {function.name for function in self._functions})
        assigned = [
            (function, node.sources[1])
            for function, node in self._flow.uses(handles, anywhere)
            if variable_role(node.op) == "assign" and len(node.sources) > 1
        ]
        return (origins - handles) | self._flow.origins(assigned) <= assets

    def _restored_keys(self, handles: Iterable[Handle]) -> dict[str, str]:
        """Return the checkpoint key that the restore op assigns each variable from."""
        restore = self._entry(None, [self._meta_graph.saver_def.restore_op_name])
        key_lists = self._restore_key_lists()
        keys = {}
        for handle in handles:
            for function, node in self._flow.uses(handle.locations, restore, handle.is_reference):
                assigns = variable_role(node.op) == "assign"
                origin = self._flow.origin(function, node) if assigns else None
                if origin and origin[0].op in RESTORE_OPS and len(origin[0].sources) > 1:
                    listed = key_lists.get((function, origin[0].sources[1]), ())
                    if origin[1] < len(listed):
                        keys[handle.name] = listed[origin[1]]
        return keys

    def _restore_key_lists(self) -> dict[tuple[str, str], list[str]]:
        """Return the keys in each constant that names what a node restores.

        The values of a constant are no part of a ``Node``: they are taken from the file again.
        """
        graph_def = self._meta_graph.graph_def
        raw = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
        lists = {}
        for function, node_defs in zip(self._functions, raw, strict=True):
            restores = (node for node in function.nodes if node.op in RESTORE_OPS)
            constants = {node.sources[1] for node in restores if len(node.sources) > 1}
            for node_def in node_defs if constants else ():
                if node_def.name in constants:
                    values = node_def.attr["value"].tensor.string_val
                    keys = [value.decode(errors="replace") for value in values]
                    lists[function.name, node_def.name] = keys
        return lists

    def _held_keys(self) -> Container[str]:
        """Return the checkpoint's keys; none if there is no ``variables`` folder."""
        prefix = self._folder / "variables" / "variables"
        if not prefix.with_name("variables.index").exists():
            return ()
        try:
            return read_checkpoint(prefix)
        except (ValueError, OSError) as error:
            fault = getattr(error, "strerror", None) or error
            raise damaged_file(self._source, f"variables/variables.index: {fault}") from error

    def _init_tensors(self) -> list[str]:
        """Return what is run when the model is loaded."""
        graph = self._meta_graph
        tensors = [info.name for info in graph.signature_def[_INIT_SIGNATURE].outputs.values()]
        for collection in _INIT_COLLECTIONS:
            tensors.extend(graph.collection_def[collection].node_list.value)
        return tensors

    def _bind_concrete_functions(
        self, handles: Iterable[Handle], keys: Mapping[str, str]
    ) -> EntryPoint:
        """Give handles to the functions of a model without signatures, as loading it would.

        The object graph says which objects a function captured: they are its last arguments.
        """
        object_graph = self._meta_graph.object_graph_def
        by_key = {keys[handle.name]: handle for handle in handles if handle.name in keys}
        paths = _object_paths(object_graph.nodes)
        arguments = {function.name: function.inputs for function in self._functions}
        functions = object_graph.concrete_functions
        for name, concrete in sorted(functions.items()):
            captured = arguments.get(name, ())[-len(concrete.bound_inputs) :]
            for node_id, argument in zip(concrete.bound_inputs, captured, strict=False):
                handle = by_key.get(paths.get(node_id, "") + _VALUE)
                if handle is not None:
                    handle.locations.append((name, argument.name))
        return EntryPoint(None, self._flow.reached(functions))


def _producers(infos: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the nodes that make the tensors of one side of a signature, each once."""
    return tuple(sorted({info.name.partition(":")[0] for info in infos.values()}))


def _tensor_names(info: Any) -> tuple[str, ...]:
    """Return the tensors of one output: a sparse or composite one has several."""
    sparse, parts = info.coo_sparse, info.composite_tensor.components
    names = (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    return (info.name, *names, *itertools.chain.from_iterable(map(_tensor_names, parts)))


def _tensor_specs(infos: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, dtype_of_number(infos[name].dtype), read_shape(infos[name].tensor_shape))
        for name in sorted(infos)
    )


def _object_paths(objects: Sequence[Any]) -> dict[int, str]:
    """Return the shortest path to each object from the root, as checkpoint keys spell it."""
    paths = {0: ""}
    waiting = deque([0])
    while waiting:
        node_id = waiting.popleft()
        for child in objects[node_id].children if 0 <= node_id < len(objects) else ():
            if child.node_id not in paths:
                name = child.local_name.replace(".", "..").replace("/", ".S")
                paths[child.node_id] = f"{paths[node_id]}/{name}".lstrip("/")
                waiting.append(child.node_id)
    return paths


def _owner(key: str | None) -> str | None:
    """Return the path of the object that a checkpoint key belongs to; ``None`` for TF1 keys."""
    if key is None or not key.endswith(_VALUE):
        return None
    # A dot is written as two, a slash as .S (escape_local_name in tensorflow/python/trackable).
    return re.sub(r"\.([.S])", lambda m: "/" if m[1] == "S" else ".", key.removesuffix(_VALUE))
