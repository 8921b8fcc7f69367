"""Rewrite a signature of a SavedModel so that its variables are such as the converter can keep.

The builtin ``ASSIGN_VARIABLE`` replaces a whole value, of a few dtypes. A model may do more: assign
a slice, scatter into rows, look a row up in a table, keep its state in float16. TensorFlow's graph
says what all of that means, so the signature is walked op by op and written anew: each variable is
read once, at the beginning; every update computes the whole new value; and what a call assigned is
assigned once, at the end. ``PartitionedCall``, ``If`` and ``While`` are followed.

A dtype that variables cannot have is *carried* in a wider one. After each op whose result could
leave the narrow dtype, the result is brought back into it: a float is rounded, an integer wraps
around. For ``+``, ``-``, ``*``, ``/`` and the square root of float16 and bfloat16 that is the same
number, bit by bit, because float32 has more than twice the digits and two bits on top (S. Figueroa,
"When is double rounding innocuous?", SIGNUM 1995). Other ops may round differently in the last
place, as any two kernels may, and so may a division by a constant, which TensorFlow's optimizer
turns into a product: a comparison has to show it. Integers are exact, or refused.

This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from varhandle.facts.dtypes import DTYPES
from varhandle.facts.random_ops import is_draw, is_generator
from varhandle.facts.tables import CHANGES
from varhandle.facts.variable_updates import REFERENCE_UPDATES
from varhandle.formats import read_graph
from varhandle.graph.op_roles import REFERENCE_VARIABLES, variable_role
from varhandle.savedmodel.builtin_draws import Draws, numbers_behind
from varhandle.savedmodel.functional_updates import (
    CannotRewriteError,
    slice_assigned,
    table_scattered,
)
from varhandle.savedmodel.resave_tracked import entries_of, input_specs, named_outputs
from varhandle.savedmodel.table_lookups import Tables

_MOVES = frozenset(
    """
    BroadcastTo Concat ConcatV2 ExpandDims Fill Gather GatherNd GatherV2 Identity
    IdentityN MirrorPad OnesLike Pack Pad PadV2 Placeholder PreventGradient Reshape
    ReverseV2 Roll Select SelectV2 Slice Snapshot Split SplitV Squeeze StopGradient
    StridedSlice Tile Transpose Unpack ZerosLike Const Maximum Minimum Relu Relu6 ArgMax
    ArgMin Max Min Where TensorScatterUpdate OneHot Shape Size Rank Equal NotEqual Less
    LessEqual Greater GreaterEqual All Any
    """.split()  # noqa: SIM905
)
"""Ops that make no value that was not there: nothing to round, nothing to wrap."""

_WRAPS = frozenset(
    """
    Add AddV2 AddN Sub Mul Neg Abs Sum Cumsum Square FloorDiv FloorMod Mod TruncateMod
    Range BiasAdd MatMul BatchMatMulV2 Prod Sign
    """.split()  # noqa: SIM905
)
"""Ops on integers whose result, wrapped around, is what the narrow dtype would have given."""

_IGNORED = frozenset({"NoOp", "Assert", "DisableCopyOnRead", "CheckNumerics"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@dataclass(frozen=True)
class _Handle:
    """A variable that is passed along: which one it is."""

    number: int
    is_reference: bool = False  # one of TensorFlow 1, which is read by whatever takes it


@dataclass(frozen=True)
class _Table:
    """A look-up table, which is passed along in the same way."""

    resource: Any


@dataclass
class _State:
    """The variables half-way through a call: each one's value, and which were assigned."""

    values: list[Any]
    assigned: set[int] = field(default_factory=set)

    def copy(self) -> _State:
        return _State(list(self.values), set(self.assigned))

    def assign(self, handle: _Handle, value: Any) -> None:
        self.values[handle.number] = value
        self.assigned.add(handle.number)


def rewrite_signatures(
    source: str,
    target: str,
    signatures: Sequence[str],
    narrow: Sequence[str] = (),
    hold_draws: bool = False,
) -> None:
    """Write a SavedModel with some signatures, rewritten. TensorFlow runs the model to load it.

    ``signatures`` may have ``__call__``, for the call of a model that has none; they go on sharing
    the variables that they shared. ``narrow`` are dtypes that are to be carried in their wider one
    (``facts.dtypes``). What is drawn at random is drawn by builtins, without a seed; or it is held
    at one value (``hold_draws``), for a comparison. ``CannotRewriteError`` if a signature does what
    is not followed here.
    """
    import tensorflow as tf

    carriers = {tf.as_dtype(name): tf.as_dtype(DTYPES[name].widened) for name in narrow}
    module = tf.Module()
    module.functions, traced = [], {}
    carried: dict[object, Any] = {}
    entries = entries_of(source, signatures)
    changing = next((n.op for n in read_graph(source).called_nodes if CHANGES.fullmatch(n.op)), "")
    tables = Tables(tf, changing)
    for entry in entries:
        step = _rewritten(tf, entry.function, _Aids(carriers, tables, hold_draws, source), carried)
        module.functions.append(step)
        traced[entry.name] = step.get_concrete_function(**input_specs(entry.function))
    module.carried = list(carried.values())
    module.tables = tables.made
    tf.saved_model.save(module, target, signatures=traced)


class _Aids(NamedTuple):
    """What stands in for dtypes, tables and draws."""

    carriers: Mapping[Any, Any]  # each dtype that is carried, to the one that carries it
    tables: Tables
    hold_draws: bool
    source: str  # the model's folder

    def restored(self, name: str) -> Any:
        """Return the value of a variable of TensorFlow 1, which its checkpoint has by its name."""
        import tensorflow as tf

        folder = Path(self.source, "variables", "variables")
        return tf.train.load_checkpoint(str(folder)).get_tensor(name)


def _rewritten(tf: Any, function: Any, aids: _Aids, carried: dict[object, Any]) -> Any:
    """Return a function anew; ``carried`` has what stands for each variable, by id or name."""
    captured, specs = _captured(function), input_specs(function)
    variables = []
    for original in (one for one in captured if isinstance(one, tf.Variable)):
        if id(original) not in carried:
            dtype = aids.carriers.get(original.dtype, original.dtype)
            carried[id(original)] = tf.Variable(
                tf.cast(original.read_value(), dtype),
                name=original.name.removesuffix(":0"),
                shape=original.shape,
            )
        variables.append(carried[id(original)])
    for operation in _references(function.graph):
        if operation.name not in carried:
            value = aids.restored(operation.name)
            carried[operation.name] = tf.Variable(value, name=operation.name)
        variables.append(carried[operation.name])

    @tf.function(autograph=False)
    def step(**inputs: Any) -> Any:
        first = [variable.read_value() for variable in variables]
        state = _State(list(first))
        draws = Draws(tf, aids.hold_draws)
        names = [variable.name for variable in variables]
        walk = _Walk(tf, function, aids, names, draws)
        answers = walk.answers([inputs[name] for name in specs], captured, state)
        seeds = state.assigned & draws.numbers_behind(first)
        kept = [*answers.values(), *(state.values[n] for n in state.assigned - seeds)]
        for number in sorted(state.assigned - (seeds - numbers_behind(kept, first))):
            variables[number].assign(state.values[number])
        return answers

    return step


def _captured(function: Any) -> list[Any]:
    """Return what a function captures, in its order: variables, tables, tensors that stay."""
    by_handle = {id(variable.handle): variable for variable in function.graph.variables}
    found = []
    for tensor in function.captured_inputs:
        if tensor.dtype.name not in ("resource", "variant"):
            found.append(tensor)
        elif id(tensor) in by_handle:
            found.append(by_handle[id(tensor)])
        else:
            found.append(_Table(tensor))
    return found


def _references(graph: Any) -> list[Any]:
    """Return the ops of a graph that make a reference variable."""
    return [
        operation for operation in graph.get_operations() if operation.type in REFERENCE_VARIABLES
    ]


class _Walk:
    """Writes a function anew, op by op, into the function that is being traced.

    ``names`` are those of the variables, by the numbers of their handles.
    """

    def __init__(
        self,
        tf: Any,
        function: Any,
        aids: _Aids,
        names: Sequence[str],
        draws: Draws,
    ) -> None:
        from tensorflow.python.eager import context

        self._tf = tf
        self._draws = draws
        self._tables = aids.tables
        self._function = function
        self._carriers = aids.carriers
        self._names = [name.removesuffix(":0") for name in names]
        definitions = function.graph.as_graph_def().library.function
        self._definitions = {one.signature.name: one for one in definitions}
        for name, definition in self._definitions.items():  # TensorFlow looks up what is called
            if not context.context().has_function(name):
                context.context().add_function_def(definition)

    def answers(
        self, inputs: Sequence[Any], captured: Sequence[Any], state: _State
    ) -> dict[str, Any]:
        """Return the named outputs, and leave in ``state`` what the variables hold afterwards."""
        tf, graph = self._tf, self._function.graph
        numbers = iter(range(len(self._names)))
        references = [operation.name for operation in _references(graph)]
        first = len(self._names) - len(references)
        self._references = {name: first + place for place, name in enumerate(references)}
        held = [
            _Handle(next(numbers))
            if isinstance(one, tf.Variable)
            else one
            if isinstance(one, _Table)
            else tf.constant(one.numpy())
            for one in captured
        ]
        arguments = [
            one
            if isinstance(one, (_Handle, _Table))
            else tf.cast(one, self._carriers.get(one.dtype, one.dtype))
            for one in (*inputs, *held)
        ]
        flat = [self._valued(one, state) for one in self.run(graph, arguments, state)]
        outputs = [
            tf.cast(value, tensor.dtype) if tensor.dtype in self._carriers else value
            for value, tensor in zip(flat, graph.outputs, strict=True)
        ]
        return named_outputs(
            tf.nest.pack_sequence_as(graph.structured_outputs, outputs, expand_composites=True)
        )

    def run(self, graph: Any, arguments: Sequence[Any], state: _State) -> list[Any]:
        """Write the ops of one function's graph, and return its outputs."""
        known = {tensor.name: value for tensor, value in zip(graph.inputs, arguments, strict=True)}
        for operation in graph.get_operations():  # each comes after what it takes and waits for
            if operation.outputs and operation.outputs[0].name in known:
                continue
            results = self._visit(operation, [known[t.name] for t in operation.inputs], state)
            known.update(
                (tensor.name, value)
                for tensor, value in zip(operation.outputs, results, strict=False)
            )
        return [known[tensor.name] for tensor in graph.outputs]

    def _visit(self, operation: Any, inputs: list[Any], state: _State) -> Sequence[Any]:
        kind = operation.type
        if kind in _IGNORED:
            return inputs[:1] if kind == "CheckNumerics" else ()
        if kind == "Enter":
            raise CannotRewriteError("a loop of TensorFlow 1 (Enter, NextIteration) is in it")
        if kind in REFERENCE_VARIABLES and operation.name in self._references:
            return (_Handle(self._references[operation.name], is_reference=True),)
        if kind == "VarHandleOp" or kind in REFERENCE_VARIABLES:
            raise CannotRewriteError(f"{kind} inside the function makes a variable")
        if kind in _CALLS:
            return self.run(self._graph(operation, "f"), inputs, state)
        if kind in ("If", "StatelessIf"):
            return self._branch(operation, inputs, state)
        if kind in ("While", "StatelessWhile"):
            return self._loop(operation, inputs, state)
        return self._compute(operation, inputs, state)

    def _compute(self, operation: Any, inputs: list[Any], state: _State) -> Sequence[Any]:
        if any(isinstance(value, _Table) for value in inputs):
            if operation.type in ("Identity", "IdentityN"):
                return inputs
            return self._tables.looked_up(operation, inputs[0].resource, inputs[1:])
        if operation.type == "HashTableV2":  # TensorFlow 1 keeps its tables in the signature
            return (_Table(self._tables.named(operation)),)
        handles = [value for value in inputs if isinstance(value, _Handle)]
        if is_draw(operation.type) or is_generator(operation.type):
            return self._draws.drawn(operation, [self._valued(one, state) for one in inputs])
        if handles:
            return self._touch(operation, inputs, handles[0], state)
        return self._emit(operation, inputs)

    def _graph(self, operation: Any, attribute: str) -> Any:
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

        name = operation.get_attr(attribute).name
        if name not in self._definitions:
            raise CannotRewriteError(f"the function {name} is not in the model")
        with self._tf.init_scope():  # where what it calls in turn is known
            return function_def_to_graph(self._definitions[name])

    def _touch(
        self, operation: Any, inputs: list[Any], handle: _Handle, state: _State
    ) -> Sequence[Any]:
        """Write what an op does to a variable."""
        kind = operation.type
        value = state.values[handle.number]
        if kind in ("Identity", "IdentityN"):  # of a reference: the value when it is used, as TF1's
            return inputs
        if handle.is_reference and variable_role(kind) != "assign":
            return self._emit(operation, [self._valued(one, state) for one in inputs])
        read = self._read(operation, inputs, value)
        if read is not None:
            return (read,)
        new = self._updated(operation, inputs, value)
        if new is None:
            name = self._names[handle.number]
            raise CannotRewriteError(f"{kind} on the variable {name} is not followed")
        state.assign(handle, new)
        return (handle,) if handle.is_reference else ()

    def _valued(self, value: Any, state: _State) -> Any:
        return state.values[value.number] if isinstance(value, _Handle) else value

    def _read(self, operation: Any, inputs: list[Any], value: Any) -> Any:
        """Return what an op reads of a variable; ``None`` for an op that does not read."""
        kind, tf = operation.type, self._tf
        if kind == "ReadVariableOp":
            return value
        if kind == "VarIsInitializedOp":
            return tf.constant(True)
        if kind == "VariableShape":
            return tf.shape(value, out_type=operation.get_attr("out_type"))
        if kind == "ResourceGather":
            return tf.gather(value, inputs[1], batch_dims=operation.get_attr("batch_dims"))
        return tf.gather_nd(value, inputs[1]) if kind == "ResourceGatherNd" else None

    def _updated(self, operation: Any, inputs: list[Any], value: Any) -> Any:
        """Return the whole value of a variable after an op; ``None`` if the op is not known."""
        kind, tf = REFERENCE_UPDATES.get(operation.type, operation.type), self._tf
        attribute = "T" if kind != operation.type or "Nd" in kind else "dtype"
        if kind == "AssignVariableOp":
            return inputs[1]
        if kind in ("AssignAddVariableOp", "AssignSubVariableOp"):
            new = value + inputs[1] if kind.startswith("AssignAdd") else value - inputs[1]
            return self._back(operation.get_attr(attribute), new)
        if kind == "ResourceStridedSliceAssign":
            masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
            return slice_assigned(
                value, inputs[1:4], inputs[4], {mask: operation.get_attr(mask) for mask in masks}
            )
        if kind == "ResourceApplyGradientDescent":
            change = self._back(operation.get_attr("T"), inputs[1] * inputs[2])
            return self._back(operation.get_attr("T"), value - change)
        scattered = re.fullmatch(r"ResourceScatter(Nd)?(Update|Add|Sub|Min|Max)", kind)
        if scattered is None:
            return None
        new = table_scattered(
            value, inputs[1], inputs[2], scattered[2], nested=scattered[1] is not None
        )
        return (
            self._back(operation.get_attr(attribute), new)
            if scattered[2] in ("Add", "Sub")
            else tf.identity(new)
        )

    def _emit(self, operation: Any, inputs: list[Any]) -> Sequence[Any]:
        """Write an op that touches no variable, its narrow dtypes replaced by their carriers."""
        tf = self._tf
        touched = [t.dtype.base_dtype for t in (*operation.inputs, *operation.outputs)]
        if operation.type == "Cast" and any(dtype in self._carriers for dtype in touched):
            given, wanted = touched
            wide = tf.cast(inputs[0], self._carriers.get(wanted, wanted))
            return (wide if given == wanted else self._back(wanted, wide),)
        if operation.type == "Const" and touched[0] in self._carriers:
            value = tf.make_ndarray(operation.get_attr("value"))
            return (tf.constant(value.astype(self._carriers[touched[0]].as_numpy_dtype)),)
        self._check(operation, touched)
        made = tf.compat.v1.get_default_graph().create_op(
            operation.type,
            inputs,
            [self._carriers.get(t.dtype, t.dtype) for t in operation.outputs],
            attrs=self._attributes(operation),
            op_def=operation.op_def,
        )
        if operation.type in _MOVES:
            return made.outputs
        return [
            self._back(t.dtype, value)
            for t, value in zip(operation.outputs, made.outputs, strict=True)
        ]

    def _check(self, operation: Any, touched: Sequence[Any]) -> None:
        """Refuse an op on carried integers that might not wrap as the narrow ones do."""
        carried = [dtype for dtype in touched if dtype in self._carriers]
        integers = any(dtype.is_integer for dtype in carried)
        if integers and operation.type not in _MOVES | _WRAPS:
            name = carried[0].name
            raise CannotRewriteError(
                f"{operation.type} on {name} may answer otherwise in a wider integer"
            )

    def _attributes(self, operation: Any) -> dict[str, Any]:
        """Return an op's attributes, with carriers where they name narrow dtypes."""
        from tensorflow.core.framework import attr_value_pb2

        carried = {d.as_datatype_enum: c.as_datatype_enum for d, c in self._carriers.items()}
        attributes = {}
        for name, value in operation.node_def.attr.items():
            if name.startswith("_"):
                continue
            new = attr_value_pb2.AttrValue()
            new.CopyFrom(value)
            if new.WhichOneof("value") == "type":
                new.type = carried.get(new.type, new.type)
            elif new.WhichOneof("value") == "list":
                new.list.type[:] = [carried.get(number, number) for number in new.list.type]
            attributes[name] = new
        return attributes

    def _back(self, dtype: Any, value: Any) -> Any:
        """Bring a carried value back into the range, or to the precision, of its narrow dtype."""
        if dtype not in self._carriers:
            return value
        if dtype.is_floating:
            return _rounded(self._tf, value, dtype)
        limits = ml_dtypes.iinfo(dtype.as_numpy_dtype)
        span = limits.max - limits.min + 1
        return self._tf.math.floormod(value - limits.min, span) + limits.min

    def _branch(self, operation: Any, inputs: list[Any], state: _State) -> Sequence[Any]:
        tf = self._tf
        touched = sorted({value.number for value in inputs if isinstance(value, _Handle)})
        results: list[list[Any]] = []

        def write(attribute: str) -> Any:
            inner = state.copy()
            outputs = self.run(self._graph(operation, attribute), inputs[1:], inner)
            results.append(outputs)
            state.assigned |= inner.assigned
            plain = [tf.identity(value) for value in outputs if not isinstance(value, _Handle)]
            return plain, [tf.identity(inner.values[number]) for number in touched]

        chosen, values = tf.cond(
            tf.cast(inputs[0], tf.bool),
            lambda: write("then_branch"),
            lambda: write("else_branch"),
        )
        for number, value in zip(touched, values, strict=True):
            state.values[number] = value
        first, second = ([v if isinstance(v, _Handle) else None for v in r] for r in results[:2])
        if first != second:
            raise CannotRewriteError("a branch decides which variable is meant")
        plain = iter(chosen)
        return [handle if handle is not None else next(plain) for handle in first]

    def _loop(self, operation: Any, inputs: list[Any], state: _State) -> Sequence[Any]:
        tf = self._tf
        if any(isinstance(value, _Table) for value in inputs):
            raise CannotRewriteError("a loop looks up in a table")
        touched = sorted({value.number for value in inputs if isinstance(value, _Handle)})
        plain = [value for value in inputs if not isinstance(value, _Handle)]

        def merged(values: Sequence[Any]) -> list[Any]:
            rest = iter(values)
            return [v if isinstance(v, _Handle) else next(rest) for v in inputs]

        def inner_state(values: Sequence[Any]) -> _State:
            inner = state.copy()
            for number, value in zip(touched, values, strict=True):
                inner.values[number] = value
            return inner

        def goes_on(values: Sequence[Any], variables: Sequence[Any]) -> Any:
            inner = inner_state(variables)
            before = set(inner.assigned)
            (go,) = self.run(self._graph(operation, "cond"), merged(values), inner)
            if inner.assigned != before:
                raise CannotRewriteError("the condition of a loop assigns")
            return go

        def turn(values: Sequence[Any], variables: Sequence[Any]) -> Any:
            inner = inner_state(variables)
            outputs = self.run(self._graph(operation, "body"), merged(values), inner)
            state.assigned |= inner.assigned
            handles = [(a, b) for a, b in zip(inputs, outputs, strict=True)]
            if any(isinstance(a, _Handle) and a != b for a, b in handles):
                raise CannotRewriteError("a loop decides which variable is meant")
            return [v for v in outputs if not isinstance(v, _Handle)], [
                inner.values[number] for number in touched
            ]

        ends, values = tf.while_loop(
            goes_on, turn, (plain, [state.values[number] for number in touched])
        )
        for number, value in zip(touched, values, strict=True):
            state.values[number] = value
        return merged(ends)


def _rounded(tf: Any, value: Any, dtype: Any) -> Any:
    """Round a float32 tensor to the numbers of a narrower float dtype, half to even.

    With arithmetic and choices alone, since old runtimes cannot cast to float16. Adding and taking
    away a large multiple of the number leaves the digits that are to stay (T. Dekker, "A
    floating-point technique for extending the available precision", 1971). What is smaller than
    float16's normal numbers is rounded to a multiple of its smallest one in the same way. Of
    numbers below float32's normal ones, which kernels may flush to zero, nothing is promised.
    """
    if dtype.name == "bfloat16":  # its exponents are float32's
        return _rounded_to_bfloat16(tf, value)
    digits = _shortened(value, 2.0**13 + 1)
    small = (value + 0.75) - 0.75  # in [0.5, 1) float32's steps are 2**-24, float16's smallest
    rounded = tf.where(tf.abs(value) < 2.0**-14, small, digits)
    # 65520 and more rounds to infinity, which the largest float32 becomes when it is doubled.
    return tf.where(tf.abs(value) >= 65520.0, value * _LARGEST * 2.0, rounded)


def _rounded_to_bfloat16(tf: Any, value: Any) -> Any:
    """Round to bfloat16; the largest numbers are made smaller first, or the factor would burst."""
    large = tf.abs(value) >= 2.0**100
    scaled = tf.where(large, value * 2.0**-30, value)
    short = _shortened(scaled, 2.0**16 + 1)
    back = tf.where(large, short * 2.0**30, short)
    return tf.where(tf.abs(value) > _LARGEST, value, back)  # infinity has no digits


_LARGEST = float(np.finfo(np.float32).max)


def _shortened(value: Any, factor: float) -> Any:
    large = value * factor
    return large - (large - value)
