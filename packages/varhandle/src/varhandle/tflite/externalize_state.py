"""Externalize the state of a .tflite file: out of its variables, into inputs and outputs.

A file that keeps a state in resource variables (``VAR_HANDLE``, ``READ_VARIABLE``,
``ASSIGN_VARIABLE``) hides it inside the interpreter: without a signature made for it, nobody can
look at it, save it, or reset it, nor choose what it is calibrated with. Lifted, the state is an
extra input and an extra output of the same name, and the caller carries it from call to call. A
runtime without ops on variables can run such a file. No TensorFlow is needed.
"""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ai_edge_litert import schema_py_generated as schema

from varhandle.display import Rich, join_all, panel_html, table_html, table_text
from varhandle.tflite.associated_files import with_associated_files
from varhandle.tflite.flatbuffer import (
    callees,
    compact,
    decode,
    indices,
    op_name,
    pack,
    reachable,
    tensor_maps,
    unpack,
)
from varhandle.tflite.own_outputs import separate_outputs
from varhandle.tflite.plain_array import ArrayMapping, PlainArray
from varhandle.tflite.subgraph_rewriter import Effects, SubgraphRewriter
from varhandle.tflite.variable_values import (
    CannotLiftError,
    VariableKey,
    check_values,
    checked_value,
    constant_value,
    dtype_name,
    shape_of,
    value_dtype,
    value_spec,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

UNSIGNED = ""
"""Stands for the main graph of a file that has no signature for it."""


@dataclass(frozen=True)
class StateVariable:
    """A variable of the file, and what became of it; ``read_by`` and so on name signatures."""

    variable: str
    name: str | None  # of the input and the output that carry it; None if it became a constant
    dtype: str
    shape: tuple[int | None, ...]
    initial: PlainArray | None = field(compare=False)  # None if no signature needs it
    read_by: tuple[str, ...]
    assigned_by: tuple[str, ...]


@dataclass(frozen=True, repr=False, eq=False)
class Lifted(Rich):
    """A .tflite file whose state is carried by the caller.

    Attributes:
        initial_state: State name to the value before the first call, read-only; see ``start``.
        inputs: Signature to the names of the state that it takes. They stand behind the inputs
            that it had, in this order. A file without signatures gets one, ``"serving_default"``;
            where others have signatures, a main graph that has none goes by ``""``.
        outputs: Signature to the names of the state that it gives, behind the outputs it had.
        variables: Every variable, sorted by name.
    """

    content: bytes = field(repr=False)
    initial_state: Mapping[str, Array]
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    variables: tuple[StateVariable, ...]
    note: str = ""

    def start(self) -> dict[str, Array]:
        """Return the state before the first call, as a dictionary to keep and to update."""
        return {name: value.copy() for name, value in self.initial_state.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return what became of the state as plain data, fit for JSON; no values of arrays."""
        return {
            "inputs": {name: list(state) for name, state in self.inputs.items()},
            "outputs": {name: list(state) for name, state in self.outputs.items()},
            "variables": [
                {
                    "variable": one.variable,
                    "name": one.name,
                    "dtype": one.dtype,
                    "shape": list(one.shape),
                    "read_by": list(one.read_by),
                    "assigned_by": list(one.assigned_by),
                }
                for one in self.variables
            ],
            "note": self.note or None,
        }

    def _headline(self) -> str:
        if not self.variables:
            return "no resource variable to lift"
        state = [variable.name for variable in self.variables if variable.name is not None]
        headline = f"state carried by the caller: {', '.join(state)}" if state else "no state"
        constants = len(self.variables) - len(state)
        if constants:
            headline += f"; {_count(constants, 'variable')} never assigned, now constant"
        return headline

    def __repr__(self) -> str:
        return f"Lifted({len(self.content)} bytes; {self._headline()})"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                variable.variable,
                variable.name or "constant",
                variable.dtype,
                "[" + ", ".join("?" if n is None else str(n) for n in variable.shape) + "]",
                "none" if variable.initial is None else variable.initial.summary(),
                join_all((name or "(main)" for name in variable.read_by), "-"),
                join_all((name or "(main)" for name in variable.assigned_by), "-"),
            )
            for variable in self.variables
        ]

    def text(self) -> str:
        """Return the headline and a line for each variable."""
        table = [table_text(_HEADERS, self._rows())] if self.variables else []
        return "\n".join([f"lifted: {self._headline()}", *table, *filter(None, [self.note])])

    def html(self) -> str:
        """Return the same as a panel."""
        body = ""
        if self.variables:
            body = table_html(_HEADERS, self._rows(), "Variables of the file, and their state")
        if self.note:
            body += f"<p>{html.escape(self.note)}</p>"
        return panel_html("neutral", f"lifted: {self._headline()}", body)


_HEADERS = ("variable", "state name", "dtype", "shape", "initial value", "read by", "assigned by")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lift_state(model: bytes, initial_values: Mapping[str, npt.ArrayLike] | None = None) -> Lifted:
    """Turn the resource variables of a .tflite file into inputs and outputs.

    In each signature, the value that a variable has before becomes an input, and the value that it
    is left with an output, both of the same name: ``state.update(outputs)`` carries it. A signature
    has an input only for what it reads before it assigns it, and an output only for what it
    assigns. A variable that nothing assigns becomes a constant. ``IF`` and ``WHILE`` are followed.
    Initial values come from the subgraphs that ``CALL_ONCE`` runs; where these compute, they are
    run once, in a child process. ``initial_values`` has others, by the variables' names. A file
    without resource variables is returned unchanged. Carry the state so::

        lifted = lift_state(content)
        state = lifted.start()
        answers = run_step(x=x, **{name: state[name] for name in lifted.inputs["step"]})
        state.update({name: answers[name] for name in lifted.outputs["step"]})

    Raises:
        ModelFileError: These bytes are no sound .tflite file.
        CannotLiftError: A variable is used in a way that is not followed here, has no value to
            begin with, or is of a dtype that NumPy lacks; the message names op and variable.
        ValueError: ``initial_values`` names no variable of the file, or its value does not fit.
        TypeError: ``model`` is not bytes.
    """
    if not isinstance(model, (bytes, bytearray, memoryview)):
        raise TypeError(f"lift_state takes a file's bytes, and not {type(model).__name__}")
    content = bytes(model)
    lift = _Lift(unpack(content))
    if lift.has_variables:
        lifted = lift.run(dict(initial_values or {}))
        return replace(lifted, content=with_associated_files(lifted.content, content))
    _check_names(initial_values or {}, [])
    unchanged: dict[str, tuple[str, ...]] = dict.fromkeys(sorted(lift.does), ())
    note = " ".join(filter(None, ["The file is returned unchanged.", lift.note]))
    return Lifted(content, {}, unchanged, unchanged, (), note)


class _Lift:
    """One run of :func:`lift_state`.

    ``does`` has what each signature does to variables, by its name; the main graph, which an
    interpreter runs without a signature too, goes by ``UNSIGNED`` where none is of it.
    """

    def __init__(self, model: schema.ModelT) -> None:
        self.model = model
        self.rewriter = SubgraphRewriter(model)
        self._signatures = list(model.signatureDefs or [_signature_of_main(model)])
        entries = [(s.subgraphIndex, decode(s.signatureKey)) for s in self._signatures]
        if all(number != 0 for number, _ in entries):
            entries.append((0, UNSIGNED))
        entries.sort(key=lambda entry: entry[0])
        self._names: dict[int, str] = {}  # of each subgraph that callers run, its first signature
        for number, name in entries:
            self._names.setdefault(number, name)
        self.does = {name: self.rewriter.effects(number) for number, name in entries}
        self._operators = [
            operator
            for number in reachable(model, self._names)
            for operator in model.subgraphs[number].operators or []
        ]
        self.note = _note(model)  # before the model grows

    @property
    def has_variables(self) -> bool:
        """Whether there is an op on variables, if only one that makes a handle nobody uses."""
        handles = (op_name(self.model, op) == "VAR_HANDLE" for op in self._operators)
        return bool(self.rewriter.values) or any(handles)

    def run(self, given: Mapping[str, npt.ArrayLike]) -> Lifted:
        for effects in self.does.values():
            for _, key in effects.results:
                raise CannotLiftError(f"a handle of the variable {key.name} is an output")
        values = self.rewriter.values
        keys = sorted(values)
        names = [key.name for key in keys]
        for name in names:
            if names.count(name) > 1:
                raise CannotLiftError(f"two containers hold a variable {name}")
        _check_names(given, names)
        initial = self._initial_values()
        for key in keys:
            check_values(key, values[key])
            if key.name in given:
                initial[key] = checked_value(key, given[key.name], values[key][0])
        assigned = {key for effects in self.does.values() for key in effects.assigns}
        needed = {key for effects in self.does.values() for key in effects.reads}
        for key in sorted(needed - set(initial)):
            raise CannotLiftError(
                f"nothing in the file initializes the variable {key.name}",
                "give its first value in initial_values",
            )
        used = sorted(assigned | needed)
        state_names = _state_names(sorted(assigned), self._signatures)
        self._begin_writing(initial, needed - assigned)
        content = self._content(state_names)

        def sides(pick: Callable[[Effects], frozenset[VariableKey]]) -> dict[str, tuple[str, ...]]:
            return {
                name: tuple(state_names[key] for key in sorted(pick(effects)) if key in state_names)
                for name, effects in self.does.items()
            }

        return Lifted(
            content,
            ArrayMapping({n: initial[key] for key, n in state_names.items() if key in initial}),
            sides(lambda effects: effects.reads),
            sides(lambda effects: effects.assigns),
            tuple(self._variable(key, state_names.get(key), initial.get(key)) for key in used),
            " ".join(filter(None, [self._growing(used), self.note])),
        )

    def _growing(self, keys: Sequence[VariableKey]) -> str:
        """Say which variables change their shape, which the converter does not expect."""
        specs = {key.name: value_spec(self.rewriter.values[key]) for key in keys}
        names = [name for name, spec in specs.items() if -1 in (shape_of(spec) or ())]
        if not names:
            return ""
        return (
            f"The shape of {', '.join(names)} changes from call to call. The converter may have "
            "worked with the shape of the first value: compare the answers with TensorFlow's."
        )

    def _initial_values(self) -> dict[VariableKey, PlainArray]:
        """Return the value that each variable has after every ``CALL_ONCE``."""
        once = dict.fromkeys(
            callee
            for operator in self._operators
            if op_name(self.model, operator) == "CALL_ONCE"
            for callee in callees(operator)
        )
        values: dict[VariableKey, PlainArray] = {}
        for number in once:
            effects = self.rewriter.effects(number)
            for key in sorted(effects.reads):
                raise CannotLiftError(
                    f"an initial value is made from that of the variable {key.name}"
                )
            for key in sorted(effects.assigns & set(values)):
                raise CannotLiftError(f"two subgraphs initialize the variable {key.name}")
            values.update(self._run_initializer(number, sorted(effects.assigns)))
        return values

    def _run_initializer(
        self, number: int, keys: list[VariableKey]
    ) -> dict[VariableKey, PlainArray]:
        """Return what a subgraph assigns: constants are read, the rest is computed."""
        specs = {key: value_spec(self.rewriter.values[key]) for key in keys}
        self.rewriter.begin_writing(specs, {})
        new = self.rewriter.write(number, (), tuple(keys))
        subgraph = self.model.subgraphs[new]
        outputs = dict(zip(keys, indices(subgraph.outputs), strict=True))
        made = {t for op in subgraph.operators for t in indices(op.outputs)}
        computed = {key: tensor for key, tensor in outputs.items() if tensor in made}
        values = {}
        for key in (key for key in outputs if key not in computed):
            tensor = subgraph.tensors[outputs[key]]
            values[key] = constant_value(key, tensor, self.model.buffers[tensor.buffer].data)
        if computed:
            subgraph.outputs = list(computed.values())
            values.update(zip(computed, self._compute(new, list(computed)), strict=True))
        return values

    def _compute(self, number: int, keys: list[VariableKey]) -> list[PlainArray]:
        for key in keys:
            value_dtype(key, self.rewriter.values[key][0])
        content = pack(compact(self.model, [number]))
        names = ", ".join(key.name for key in keys)
        try:
            from varhandle.sandbox import run_isolated
        except ImportError as error:  # as in a browser, where there are no processes
            fault = f"the initial value of {names} is computed, and there is no interpreter here"
            raise CannotLiftError(fault, "lift the file where LiteRT is installed") from error
        record = run_isolated(run_once, content, timeout=120.0, tensorflow=False)
        if not record.ok:
            reason = record.message.strip().splitlines()[0] if record.message.strip() else "no word"
            raise CannotLiftError(f"the initial value of {names} cannot be computed: {reason}")
        return list(map(PlainArray.of, record.value))

    def _begin_writing(
        self, initial: Mapping[VariableKey, PlainArray], constants: set[VariableKey]
    ) -> None:
        specs = {
            key: value_spec(tensors, initial.get(key))
            for key, tensors in self.rewriter.values.items()
        }
        buffers = {}
        for key in sorted(constants):
            buffers[key] = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(initial[key].data or None))
        self.rewriter.begin_writing(specs, buffers)

    def _content(self, state_names: Mapping[VariableKey, str]) -> bytes:
        """Write every subgraph that callers run without variables, and pack the file."""
        rewriter, written = self.rewriter, {}
        for number, signature in self._names.items():
            effects = rewriter.effects(number)
            inputs = rewriter.state(effects.reads)
            written[number] = rewriter.write(number, inputs, rewriter.state(effects.assigns))
            subgraph = self.model.subgraphs[written[number]]
            for key, tensor in zip(reversed(inputs), reversed(subgraph.inputs), strict=False):
                # Named as the converter names a signature's inputs, and as an unsigned file's.
                name = f"{signature}_{state_names[key]}:0" if signature else state_names[key]
                rewriter.rename(subgraph.tensors[tensor], name)
        signatures = []
        for old in self._signatures:
            new = copy.copy(old)
            new.subgraphIndex = written[old.subgraphIndex]
            effects = rewriter.effects(old.subgraphIndex)
            for side, keys in (("inputs", effects.reads), ("outputs", effects.assigns)):
                maps = [
                    schema.TensorMapT(m.name, rewriter.renumbered(new.subgraphIndex, m.tensorIndex))
                    for m in getattr(old, side) or []
                ]
                state = rewriter.state(keys)
                tensors = getattr(self.model.subgraphs[new.subgraphIndex], side)
                # The state stands behind what the subgraph had; [-0:] would be all of it.
                behind = tensors[len(tensors) - len(state) :]
                maps += [
                    schema.TensorMapT(state_names[key], tensor)
                    for key, tensor in zip(state, behind, strict=True)
                ]
                setattr(new, side, maps)
            signatures.append(new)
        model = compact(self.model, list(written.values()), signatures)
        separate_outputs(model)
        described = decode(model.description).strip()
        model.description = f"{described} State lifted to inputs and outputs.".strip()
        try:
            return pack(model)
        except ValueError as error:
            raise CannotLiftError(str(error)) from error

    def _variable(
        self, key: VariableKey, name: str | None, initial: PlainArray | None
    ) -> StateVariable:
        tensor = value_spec(self.rewriter.values[key], initial)
        return StateVariable(
            variable=key.name,
            name=name,
            dtype=dtype_name(tensor),
            shape=tuple(None if n < 0 else n for n in shape_of(tensor) or ()),
            initial=initial,
            read_by=tuple(sorted(n for n, does in self.does.items() if key in does.reads)),
            assigned_by=tuple(sorted(n for n, does in self.does.items() if key in does.assigns)),
        )


def _signature_of_main(model: schema.ModelT) -> schema.SignatureDefT:
    """Make a signature for a file that has none: by its tensors' names no state could be found.

    An output may be the state itself, and then one tensor, with one name, is both. A caller who
    goes by the places of inputs and outputs finds them where they were, the state behind them.
    """
    main = model.subgraphs[0]
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = b"serving_default", 0
    made.inputs, made.outputs = (_named_tensors(main, side) for side in (main.inputs, main.outputs))
    return made


def _named_tensors(main: schema.SubGraphT, tensors: Any) -> list[schema.TensorMapT]:
    """Name tensors as they are named, the second of a name by its place."""
    named: dict[str, int] = {}
    for place, tensor in enumerate(indices(tensors)):
        name = decode(main.tensors[tensor].name)
        named[f"{name}_{place}" if name in named else name] = tensor
    return [schema.TensorMapT(name.encode(), tensor) for name, tensor in named.items()]


def run_once(content: bytes) -> list[Array]:
    """Run a .tflite file without inputs, and return its outputs. It may end the process."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def _check_names(given: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(names))
    if unknown:
        known = ", ".join(names) or "none"
        raise ValueError(f"there is no variable {unknown[0]!r}; there are: {known}")


def _state_names(
    keys: Sequence[VariableKey], signatures: Sequence[schema.SignatureDefT]
) -> dict[VariableKey, str]:
    """Give each variable a name that no input and no output has, and that Python can spell."""
    taken = {decode(entry.name) for signature in signatures for entry in tensor_maps(signature)}
    names = {}
    for key in keys:
        stem = re.sub(r"\W", "_", key.name.removesuffix(":0")).strip("_") or "state"
        stem = f"state_{stem}" if stem[0].isdigit() else stem
        choices = (stem, f"{stem}_state", *(f"{stem}_state_{n}" for n in range(2, len(taken) + 3)))
        names[key] = next(name for name in choices if name not in taken)
        taken.add(names[key])
    return names


def _note(model: schema.ModelT) -> str:
    """Say what state is in the file besides resource variables."""
    hidden = sum(t.isVariable for subgraph in model.subgraphs for t in subgraph.tensors or [])
    if not hidden:
        return ""
    return (
        f"{_count(hidden, 'tensor')} of ops that keep a state of their own (as an LSTM does) "
        "cannot be lifted, and stay."
    )
