"""Wrong pairs, found by what they do: the same values put in place of both have the same effect.

The values of a pair are permuted, and put into the file and into the model's graph in place of what
is computed there. Where the two are each other's, the answers stay alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from benchmarks.field.by_hand import coded_inputs, run_tensors
from varhandle.divergence.matching import TensorMatch
from varhandle.divergence.model_trace import ModelTrace
from varhandle.tflite.flatbuffer import pack, unpack

Array = Any
Values = Mapping[Any, Array]
MOST = 40
"""Pairs of a model that are tried, drawn by lot."""

_ALIKE = 1e-3
"""Share of the range by which answers of a float file may differ."""

_MOVED, _ROUGHLY = 0.1, 0.5
"""Of a quantized file: share of the range that shows, and of this effect that may differ."""


@dataclass
class Tried:
    """What came of putting values in place of pairs."""

    alike: int = 0
    silent: int = 0  # no answer moved, or one of the two refused the values
    wrong: list[str] = field(default_factory=list)


def try_pairs(
    content: bytes,
    trace: ModelTrace,
    matches: Mapping[int, TensorMatch],
    calls: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
    *,
    quantized: bool,
) -> Tried:
    """Try pairs of a file and a model."""
    bench = _Bench(content, trace, matches, calls[0], quantized)
    numbers = list(bench.between)
    rng.shuffle(numbers)
    tried = Tried()
    for tensor in numbers[:MOST]:
        verdict = bench.verdict(tensor, rng)
        if verdict is None:
            tried.silent += 1
        elif verdict:
            tried.alike += 1
        else:
            match = matches[tensor]
            tried.wrong.append(f"{bench.name(tensor)}: {match.node}, by {match.how}")
    return tried


class _Bench:
    def __init__(
        self,
        content: bytes,
        trace: ModelTrace,
        matches: Mapping[int, TensorMatch],
        call: Mapping[str, Any],
        quantized: bool,
    ) -> None:
        self._content, self._trace, self._matches = content, trace, matches
        self._call, self._quantized = call, quantized
        subgraph = unpack(content).subgraphs[0]
        self._tensors = subgraph.tensors
        ends = [int(t) for t in subgraph.outputs if int(t) in matches]
        self._ends = {t: matches[t].node for t in ends}
        produced = [
            int(t)
            for one in subgraph.operators
            for t in one.outputs
            if self._tensors[t].type not in (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)
        ]
        self._file, self._model = self._run_file({}, produced), self._run_model({}, True)
        self.between = [t for t in produced if t in matches and t not in ends and t in self._file]

    def name(self, tensor: int) -> str:
        """Return the name of a tensor of the file."""
        return str(self._tensors[tensor].name.decode())

    def verdict(self, tensor: int, rng: np.random.Generator) -> bool | None:
        """Whether a pair has one effect; ``None`` where nothing can be seen of it."""
        node = self._matches[tensor].node
        value = self._file[tensor]
        if value.dtype.kind not in "fiub" or node not in self._model:
            return None
        changed = rng.permutation(value.ravel()).reshape(value.shape)
        if self._quantized and value.dtype.kind != "b":  # it stays within the scales
            changed = (0.6 * value + 0.4 * changed).astype(value.dtype)
        if value.size == 1 and value.dtype.kind == "f":
            changed = (1.5 * value + 1).astype(value.dtype)
        if np.array_equal(changed, value):
            return None
        twins = [t for t in self.between if _same(self._file[t], value)]
        others = [n for n, one in self._model.items() if _same(one, self._model[node])]
        try:
            moved = False
            for tensors, nodes in (([tensor], [node]), (twins, others)):
                real = self._real(tensor, changed)
                mine = self._run_file(dict.fromkeys(tensors, changed), list(self._ends))
                wanted = self._run_model(dict.fromkeys(nodes, real), False)
                shows, alike = self._compared(mine, wanted)
                moved = moved or shows
                if alike:
                    return True if moved else None
        except Exception as error:  # places, sizes and indices that nothing can be done with
            print(f"{self.name(tensor)}: {error}"[:200])
            return None
        return False

    def _compared(self, mine: Values, wanted: Values) -> tuple[bool, bool]:
        """Say whether an answer has moved, and whether all answers have moved alike."""
        shows, alike = False, True
        for t, n in self._ends.items():
            found, before = self._real(t, mine[t]), self._real(t, self._file[t])
            moved = _apart(wanted[n], self._model[n])
            if self._quantized:
                shows = shows or moved > _MOVED
                ours, theirs = found - before, wanted[n] - self._model[n]
                alike = alike and (moved <= _MOVED or _apart(ours, theirs) <= _ROUGHLY)
            else:
                shows = shows or moved > _ALIKE
                alike = alike and _apart(found, wanted[n]) <= _ALIKE
        return shows, alike

    def _real(self, tensor: int, value: Array) -> Array:
        held = self._tensors[tensor].quantization
        if (
            value.dtype.kind not in "iu"
            or held is None
            or held.scale is None
            or not len(held.scale)
        ):
            return value
        return ((value.astype(np.float64) - held.zeroPoint[0]) * held.scale[0]).astype(np.float32)

    def _run_file(self, instead: Values, wanted: Sequence[int]) -> dict[int, Array]:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        model = unpack(self._content)
        subgraph = model.subgraphs[0]
        for tensor, flat in instead.items():
            value = np.reshape(flat, self._file[tensor].shape)
            constant = schema.TensorT()
            constant.__dict__.update(subgraph.tensors[tensor].__dict__)
            constant.buffer, constant.shape = len(model.buffers), list(value.shape)
            data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            model.buffers.append(schema.BufferT(data))
            subgraph.tensors.append(constant)
            for operator in subgraph.operators:
                if operator.inputs is not None:
                    operator.inputs = [
                        len(subgraph.tensors) - 1 if t == tensor else int(t)
                        for t in operator.inputs
                    ]
        interpreter = Interpreter(
            model_content=pack(model),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        runner = next(map(interpreter.get_signature_runner, interpreter.get_signature_list()), None)
        if runner:
            runner(**coded_inputs(runner.get_input_details(), self._call))
        else:
            run_tensors(interpreter, self._call)
        found = {}
        for tensor in wanted:
            try:
                found[tensor] = np.array(interpreter.get_tensor(tensor))
            except ValueError:  # a resource
                continue
        return found

    def _run_model(self, instead: Values, everything: bool) -> dict[str, Array]:
        run = self._trace._run
        names = list(run.tensors) if everything else list(self._ends.values())
        if not hasattr(run, "_function"):
            feeds = {f"{name}:0": value for name, value in self._call.items()}
            fed = {n: np.reshape(v, self._model[n].shape) for n, v in instead.items()}
            return dict(zip(names, run._session.run(names, {**feeds, **fed}), strict=True))
        return self._run_traced(run, instead, names)

    def _run_traced(self, run: Any, instead: Values, names: Sequence[str]) -> dict[str, Array]:
        import tensorflow as tf

        def body(*arguments: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            captured = [graph.capture(tensor) for tensor in run._function.captured_inputs]
            taken = [*run.arguments.values(), *run._captured]
            fed = dict(zip(taken, [*arguments, *captured], strict=True))
            for name, value in instead.items():
                like = self._model[name]
                fed[name] = tf.constant(np.reshape(value, like.shape).astype(like.dtype))
            return tf.graph_util.import_graph_def(
                run.graph_def, input_map=fed, return_elements=list(names), name="tried"
            )

        before = [(one, one.read_value()) for one in run._function.graph.variables]
        answers = tf.function(body, autograph=False)(*run._fed(self._call))
        for variable, value in before:
            variable.assign(value)
        return {
            n: np.asarray(one.numpy() if hasattr(one, "numpy") else one)
            for n, one in zip(names, answers, strict=True)
        }


def _same(one: Array, other: Array) -> bool:
    return one.size == other.size and np.array_equal(one.ravel(), other.ravel())


def _apart(one: Array, other: Array) -> float:
    if one.size != other.size or one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return float("inf")
    a, b = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    return float(np.max(np.abs(a - b), initial=0.0) / max(np.max(np.abs(b), initial=0.0), 1e-9))
