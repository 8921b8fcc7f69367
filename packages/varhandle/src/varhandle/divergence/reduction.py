"""``locate --reduce``: the smallest file that still differs from what the model computes.

The op that parts is cut out of the file with the values that its inputs had, and what it should
give is computed by the same op of a file converted anew. Then axes are halved, and values made
plain, as long as the difference stays. Where the converter itself is at fault there is no such op:
the model's graph is divided instead, and each part converted.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.display import printable
from varhandle.divergence.case_folder import new_folder, write_case
from varhandle.divergence.converter_fault import PartRun, smallest_fault
from varhandle.divergence.cutting import (
    OpenedCut,
    Slices,
    Whole,
    cut,
    sliced,
    taken,
    with_own_shapes,
    with_state,
)
from varhandle.divergence.file_trace import FileTrace, dequantized
from varhandle.divergence.flat_graph import FlatGraph, flattened, write_part
from varhandle.divergence.op_check import OpCheck
from varhandle.divergence.other_runs import COMPILED, KEPT, run_cut, run_difference
from varhandle.divergence.tensor_difference import STEPS, Difference
from varhandle.divergence.walk import OpComparison, named_for
from varhandle.errors import VarhandleError
from varhandle.evaluate.parity import DELEGATES, PLAIN
from varhandle.formats import format_of, read_graph
from varhandle.sandbox import run_isolated
from varhandle.sandbox.record import short_message
from varhandle.sandbox.scratch import temporary_folder
from varhandle.tflite.flatbuffer import indices
from varhandle.tflite.variable_values import dtype_name

Array = npt.NDArray[Any]
FILE, INPUTS, EXPECTED = "reduced.tflite", "inputs.npz", "expected.npz"


_SHOWN = 16
"""Numbers of an answer that the text for an issue tracker has."""

_MOST_TOGETHER = 6
"""Axes of two sizes, beyond which it is not tried which of them belong together."""


REPORT_WHOLE = "leave out --reduce, and report it with the whole model"


class CannotReduceError(VarhandleError, ValueError):
    """Nothing smaller than the whole shows the difference; the message is one line."""


@dataclass(frozen=True, eq=False)
class ReducedCase:
    """A file without a signature that gives one tensor, and what it should give.

    Attributes:
        content: The file.
        calls: The inputs of each call, in the file's order, as they lie in memory.
        expected: What it should give in each call, in real values; none where it refuses the call.
        twin: A file that gives what is expected for the same inputs in real values, if there is.
        whole: What the file was cut out of; ``None`` where there is a twin.
        kernels: How it is run, where only that differs: then it is its own twin, looked at.
    """

    content: bytes
    calls: Sequence[Sequence[Array]]
    expected: Sequence[Array]
    twin: bytes | None = None
    whole: Whole | None = None
    kernels: str = ""


@dataclass(frozen=True)
class Measured:
    """What running a case showed."""

    expected: Sequence[Array]
    got: Sequence[Array]
    difference: Difference | None
    most: float = 0.0  # what it may differ by
    refusal: str = ""

    @property
    def differs(self) -> bool:
        """Whether the fault shows."""
        return bool(self.refusal) or (self.difference is not None and not self.difference.agrees)


def measure(case: ReducedCase) -> Measured:
    """Run a case, in a child process; ``ValueError`` if it is no part of what it was cut out of."""
    if case.kernels:
        return _measure_otherwise(case)
    file = FileTrace(case.content)
    should = _sound(case, file)
    twin = FileTrace(case.twin) if case.twin else None
    check = OpCheck(file, None)
    (output,) = indices(file.subgraph.outputs)
    expected, got, worst, most = [], [], None, 0.0
    for number, values in enumerate(case.calls):
        try:
            file.run(values)
            got.append(np.array(file.results()[0]))
        except RuntimeError as error:
            return Measured(case.expected, got, None, refusal=str(error))
        if should is None:
            raise ValueError("it takes what the whole refuses")
        if twin:
            tensors = [file.subgraph.tensors[tensor] for tensor in file.inputs]
            twin.run([dequantized(v, t) for v, t in zip(values, tensors, strict=True)])
            wanted = np.array(twin.results()[0])
        elif number < len(should):
            wanted = should[number]
        else:
            continue
        expected.append(wanted)
        one = check.difference(output, wanted)
        if one is not None and (worst is None or one.share > worst.share):
            worst = one
            scale = one.largest / one.share if 0 < one.share < np.inf else 0.0
            most = max(one.allowed * scale, STEPS * file.step(output))
    return Measured(expected, got, worst, most)


def _measure_otherwise(case: ReducedCase) -> Measured:
    file = FileTrace(case.content)
    (output,) = (file.subgraph.tensors[n] for n in indices(file.subgraph.outputs))
    runs = (run_cut(case.content, case.calls, kernels) for kernels in (KEPT, case.kernels))
    ((wanted,),), ((got,),) = runs
    if wanted is None or got is None:
        raise ValueError("it gives nothing")
    sound, other = dequantized(wanted, output), dequantized(got, output)
    one = run_difference(other, sound, case.kernels)
    scale = one.largest / one.share if 0 < one.share < np.inf else 0.0
    return Measured([sound], [other], one, one.allowed * scale)


def _sound(case: ReducedCase, file: FileTrace) -> Sequence[Array] | None:
    """Return what a file without a twin should give; ``None`` where it refuses, or the whole."""
    if case.whole is None:
        return case.expected
    try:
        return case.whole.sound(file, case.calls)
    except RuntimeError:
        return None
    finally:
        file.reopen()


def measure_in_child(
    first: Mapping[str, Any],
    load: Callable[[], Any],
    signature: str | None,
    calls: Sequence[Mapping[str, Any]],
    content: bytes,
    **files: Any,
) -> ReducedCase:
    """Cut the op that parts out of a file, with what its inputs were; in a child process."""
    made = OpComparison(load, signature, calls, content, **files)
    pairs = made.run()["pairs"]
    trace, other = made.check.file, made.check.other
    op = trace.ops[first.get("seen", first["number"])]
    tensor = op.outputs[0] if "seen" in first else _tensor_of(trace, first)
    group = {number for _, number in first["group"]} | {op.number}
    refuses = first["max_difference"] is None
    if op.op == "READ_VARIABLE" and refuses:
        group.add(trace.producers[op.inputs[0]].number)
    elif op.op == "READ_VARIABLE":
        known = {t for pair in pairs if pair["agrees"] for t in trace.ops[pair["number"]].outputs}
        group = with_state(trace, op.number, known | set(trace.inputs))
    last_only = op.op != "READ_VARIABLE"
    fed = taken(trace, group)
    values: list[list[Array]] = []
    expected: list[Array] = []
    for wanted in made.again(first["call"], tensor):
        if last_only:
            values, expected = [], []
        values.append([np.array(trace.raw(t)) for t in fed])
        expected += [] if wanted is None else [np.array(wanted)]
    if refuses:
        values.append([_last_value(trace, t) for t in fed])
    content = cut(trace, group, tensor)
    whole = Whole(content, values, expected)
    case = ReducedCase(content, values, expected, whole=whole)
    twin = made.check.twin(op) if group == {op.number} else None
    if twin and other:
        theirs = cut(other, {twin[1].number}, twin[1].outputs[list(op.outputs).index(tensor)])
        paired = replace(case, twin=theirs, whole=None)
        if _differs(paired):
            return paired
    if last_only and not refuses:
        part = made.part(calls[first["call"] - 1], tensor, fed)
        computed = replace(case, whole=replace(whole, part=part))
        if _differs(computed):
            return computed
    return case


def case_of_run(first: Mapping[str, Any], content: bytes, signature: str | None, call: Any) -> Any:
    """Cut out what only a way of running a file shows, with what its inputs were; in a child."""
    trace = FileTrace(content, signature)
    trace(named_for(trace.input_names, call))
    numbers = [number for _, number in first["group"]] or [op.number for op in trace.ops]
    values = [np.array(trace.raw(tensor)) for tensor in taken(trace, numbers)]
    part = cut(trace, numbers, _tensor_of(trace, first))
    return ReducedCase(part, [values], (), kernels=first["kernels"])


def _differs(case: ReducedCase) -> bool:
    try:
        return measure(case).differs
    except (RuntimeError, ValueError):  # it and its twin take other inputs
        return False


def _last_value(trace: FileTrace, tensor: int) -> Array:
    """Return what an op that refuses was given; zeros where no interpreter opens the file."""
    value, held = trace.raw(tensor), trace.subgraph.tensors[tensor]
    return np.zeros(indices(held.shape), dtype_name(held)) if value is None else np.array(value)


def _tensor_of(trace: FileTrace, first: Mapping[str, Any]) -> int:
    outputs = trace.ops[first["number"]].outputs
    return next((t for t in outputs if trace.name(t) == first["tensor"]), outputs[0])


class _Shrinking:
    """Makes a case smaller, step by step.

    One operator beside its twin can be given anything. Of any other case, it is checked beside the
    whole (``Whole``) that it was cut out of.
    """

    def __init__(
        self, case: ReducedCase, seconds: float, run: Callable[[ReducedCase], Measured | None]
    ) -> None:
        self.case, self.tries = case, 0
        self._run = run
        self._deadline = time.monotonic() + seconds
        self._paired = case.twin is not None and len(case.calls) == 1
        self._measured = run(case)

    def smallest(self) -> tuple[ReducedCase, int]:
        """Return the smallest case that still differs, and how many were tried."""
        if self._measured is None or not self._measured.differs:
            return self.case, self.tries
        self._shrink_axes()
        plain_too = self._paired or _computes(self.case) or self.case.kernels
        for place in self._shapes() if plain_too else ():
            for plain in (np.zeros_like, np.ones_like, _rounded):
                if self._take(self._with_value(place, plain)):
                    break
        return self.case, self.tries

    def _shrink_axes(self) -> None:
        tried: set[frozenset[tuple[int, int]]] = set()
        while group := next((g for g in self._groups() if g not in tried), None):
            if time.monotonic() > self._deadline:
                return
            tried.add(group)
            while self._halve(group):
                tried = {group}

    def _groups(self) -> Iterator[frozenset[tuple[int, int]]]:
        """Yield the axes that may belong together, as places and axes.

        They are of one size; or of two, as the channels of a depthwise convolution are.
        """
        sizes: dict[int, list[tuple[int, int]]] = {}
        for place, shape in self._shapes().items():
            for axis, size in enumerate(shape):
                if size > 1:
                    sizes.setdefault(size, []).append((place, axis))
        for size in sorted(sizes, reverse=True):
            axes = sizes[size]
            yield from map(frozenset, _some(axes))
        for size, multiple in itertools.permutations(sorted(sizes), 2):
            if multiple % size == 0 and len(sizes[size]) + len(sizes[multiple]) <= _MOST_TOGETHER:
                for few, many in itertools.product(*map(_some, (sizes[size], sizes[multiple]))):
                    yield frozenset((*few, *many))

    def _shapes(self) -> dict[int, tuple[int, ...]]:
        opened = self._open(self.case.content)
        shapes = opened.shapes
        if self._paired:  # what nothing is known of, such as a state of the op, stays
            shapes = {n: shape for n, shape in shapes.items() if opened.constant(n) is not None}
        shapes |= {at: self._fed_shape(number) for at, number in opened.fed.items()}
        return shapes

    def _fed_shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of an input; none where it changes from call to call."""
        shapes = {values[number].shape for values in self.case.calls}
        return shapes.pop() if len(shapes) == 1 else ()

    def _halve(self, group: frozenset[tuple[int, int]]) -> bool:
        shapes = self._shapes()
        sizes = {shapes[place][axis] for place, axis in group}
        size = min(sizes)
        if size < 2 or any(one % size for one in sizes):
            return False
        half = size // 2
        for start, stop in ((0, half), (half, size), (0, size - 1)):
            slices: dict[int, dict[int, list[int]]] = {}
            for place, axis in group:
                times = shapes[place][axis] // size
                slices.setdefault(place, {})[axis] = list(range(start * times, stop * times))
            if self._take(self._sliced(slices)):
                return True
        return False

    def _sliced(self, slices: Slices) -> ReducedCase | None:
        mine = self._open(self.case.content)
        calls = [list(values) for values in self.case.calls]
        fed = {number: slices.get(place, {}) for place, number in mine.fed.items()}
        for number, axes in fed.items():
            for values in calls:
                values[number] = sliced(values[number], axes)
        mine.slice(slices)
        if self.case.kernels:
            content = with_own_shapes(mine.content())
            return replace(self.case, content=content, calls=calls) if content else None
        if self.case.whole:
            return replace(
                self.case, content=mine.content(), calls=calls, whole=self.case.whole.smaller(fed)
            )
        twin = self._open(self.case.twin)
        twin.slice(slices)
        return ReducedCase(mine.content(), calls, (), twin.content())

    def _with_value(self, place: int, plain: Callable[[Array], Array]) -> ReducedCase | None:
        """Make the numbers of an input plain, but for those that are at fault."""
        mine, values = self._open(self.case.content), list(self.case.calls[0])
        held, fed = mine.constant(place), mine.fed.get(place)
        if held is None:
            if fed is None or values[fed].dtype.kind != "f":
                return None
            values[fed] = plain(values[fed])
            return replace(self.case, calls=[values])
        if self.case.kernels and held.dtype.kind == "f":
            mine.set_constant(place, plain(held))
            return replace(self.case, content=mine.content())
        if self.case.whole or self.case.kernels:  # the model has its own
            return None
        twin = self._open(self.case.twin)
        sound = twin.constant(place)
        if sound is None or held.dtype.kind != "f" or held.shape != sound.shape:
            return None
        same = held == sound
        mine.set_constant(place, np.where(same, plain(held), held))
        twin.set_constant(place, np.where(same, plain(sound), sound))
        return ReducedCase(mine.content(), [values], (), twin.content())

    def _open(self, content: bytes | None) -> OpenedCut:
        assert content
        return OpenedCut(content, one_op=self._paired)

    def _take(self, smaller: ReducedCase | None) -> bool:
        """Go on with a case if it still differs in the same way."""
        if smaller is None or time.monotonic() > self._deadline:
            return False
        self.tries += 1
        found, before = self._run(smaller), self._measured
        if found is None or before is None or not found.differs:
            return False
        if found.refusal != before.refusal:
            return False
        if (
            found.difference
            and before.difference
            and (
                found.difference.note != before.difference.note
                or not found.difference.largest > 1e-6
            )
        ):
            return False
        self.case, self._measured = smaller, found
        return True


def _some(axes: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield all choices of some axes, the largest first."""
    for count in range(len(axes), 0, -1):
        yield from itertools.combinations(axes, count)


def _rounded(value: Array) -> Array:
    return np.round(value, 1).astype(value.dtype)


def _computes(case: ReducedCase) -> bool:
    """Whether TensorFlow computes what is expected."""
    return case.whole is not None and case.whole.part is not None


def _measured(case: ReducedCase) -> Measured | None:
    record = run_isolated(measure, case, timeout=60.0, tensorflow=_computes(case))
    return record.value if record.ok else None


def _measured_here(case: ReducedCase) -> Measured | None:
    try:
        return measure(case)
    except Exception:  # as the record of a child would say it
        return None


def shrink(case: ReducedCase, seconds: float) -> tuple[ReducedCase, int]:
    """Make a case smaller, in a child process; return it, and how many were tried."""
    return _Shrinking(case, seconds, _measured_here).smallest()


def _shrunk(case: ReducedCase, seconds: float) -> tuple[ReducedCase, int]:
    """Make a case smaller: in one child, or in one for each try where an interpreter dies of it."""
    task = shrink, case, seconds
    record = run_isolated(*task, timeout=seconds + 60.0, tensorflow=_computes(case))
    if record.ok:
        smallest: tuple[ReducedCase, int] = record.value
        return smallest
    return _Shrinking(case, seconds, _measured).smallest()


@dataclass(frozen=True, repr=False, eq=False)
class Reduction:
    """The smallest case that still shows a difference.

    Attributes:
        case: The file and its inputs.
        measured: What running it shows.
        title: What parts, in one line.
        tries: How many smaller cases were tried.
        part: The smallest part of the model whose own conversion differs, where the converter is
            at fault.
    """

    case: ReducedCase
    measured: Measured
    title: str
    tries: int
    part: PartRun | None = None

    def __repr__(self) -> str:
        return f"Reduction({self._size()}, {self.tries} tried)"

    def _size(self) -> str:
        content = self.case.content if self.part is None else self.part.content
        return f"{len(content) / 1000:.1f} kB"

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the file, its inputs, a script and a text for an issue tracker into a new folder.

        Returns the names of the files; ``ReductionFolderError`` if the folder is not empty.
        """
        out = new_folder(folder)
        if self.part is not None:
            return self._write_part(out, self.part)
        (out / FILE).write_bytes(self.case.content)
        inputs: dict[str, Any] = {
            f"call_{call}_input_{place}": value
            for call, values in enumerate(self.case.calls)
            for place, value in enumerate(values)
        }
        np.savez(out / INPUTS, **inputs)
        expected: dict[str, Any] = {
            f"call_{n}": value for n, value in enumerate(self.measured.expected)
        }
        np.savez(out / EXPECTED, **expected)
        script = _SCRIPT.format(calls=len(self.case.calls), most=self.measured.most)
        if self.case.kernels:
            way = self.case.kernels
            template, how = _WAYS[way]
            script = template.format(most=self.measured.most, how=how, way=way)
        return write_case(out, script, self.title, self._figures())

    def _write_part(self, out: Path, found: PartRun) -> list[str]:
        run_isolated(write_part, found.flat, found.flat.divisible, str(out), writes=[out])
        (out / FILE).write_bytes(found.content)
        for file, calls in ((INPUTS, found.calls), (EXPECTED, found.expected)):
            values: dict[str, Any] = {
                f"call_{n}_{name}": value
                for n, call in enumerate(calls)
                for name, value in call.items()
            }
            np.savez(out / file, **values)
        script = _CONVERTING.format(calls=len(found.calls))
        return write_case(out, script, self.title, self._figures())

    def _figures(self) -> list[str]:
        found = self.measured
        if found.difference is None:
            return [f"{FILE} refuses the call: {found.refusal}"]
        largest = found.difference.largest
        figures = f"largest difference {largest:.6g}, allowed {found.most:.3g}"
        lines = [figures if np.isfinite(largest) else found.difference.note]
        pairs = list(zip(found.got[-1:], found.expected[-1:], strict=False))
        if self.part is not None:  # then its figures are what the script prints
            wanted, answers = self.part.expected, self.part.got
            refused = len(answers) < len(wanted)
            lines = [f"{FILE} refuses the call"] if refused else []
            pairs = [] if refused else [(answers[-1][n], wanted[-1][n]) for n in wanted[-1]]
        for got, sound in pairs:
            if got.size <= _SHOWN:
                lines += [f"got {got.tolist()}", f"expected {sound.tolist()}"]
        return lines


_SCRIPT = '''"""Run a .tflite file, and compare its answers with what they should be."""
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

here, most = Path(__file__).parent, {most:.9g}
inputs, expected = np.load(here / "inputs.npz"), np.load(here / "expected.npz")
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
file = Interpreter(str(here / "reduced.tflite"), experimental_op_resolver_type=plain)
file.allocate_tensors()
for call in range({calls}):
    for place, one in enumerate(file.get_input_details()):
        file.set_tensor(one["index"], inputs[f"call_{{call}}_input_{{place}}"])
    file.invoke()
    (one,), sound = file.get_output_details(), expected[f"call_{{call}}"]
    got, steps = file.get_tensor(one["index"]).astype(float), one["quantization_parameters"]
    got = (got - steps["zero_points"]) * steps["scales"] if len(steps["scales"]) == 1 else got
    worst = np.abs(got.ravel() - sound.ravel()).max() if got.size == sound.size else np.inf
    print(f"call {{call + 1}}: {{worst}} apart:", "DIFFERS" if not worst <= most else "agrees")
'''


_OTHERWISE = '''"""Run a .tflite file in two ways, and compare its answers."""
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

path = str(Path(__file__).parent / "reduced.tflite")
inputs = list(np.load(Path(__file__).parent / "inputs.npz").values())
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
def run(**options):
    file = Interpreter(path, **options)
    file.allocate_tensors()
    for one, value in zip(file.get_input_details(), inputs):
        file.set_tensor(one["index"], value)
    file.invoke()
    return file.get_tensor(file.get_output_details()[0]["index"])
kept = run(experimental_op_resolver_type=plain, experimental_preserve_all_tensors=True)
got = run({how})
told = "DIFFERS" if not np.abs(got.astype(float) - kept).max() <= {most:.9g} else "agrees"
print("kept apart", kept.ravel()[:9], {way!r}, got.ravel()[:9], told)
'''

_COMPILED = '''"""Run a .tflite file in two ways, and compare its answers."""
from pathlib import Path
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter, OpResolverType
path, values = str(Path(__file__).parent / "reduced.tflite"), Path(__file__).parent / "inputs.npz"
plain = {{"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}}
file = Interpreter(path, experimental_preserve_all_tensors=True, **plain)
model = CompiledModel.from_file(path)
fed, given = model.create_input_buffers(0), model.create_output_buffers(0)
file.allocate_tensors()
for one, buffer, value in zip(file.get_input_details(), fed, np.load(values).values()):
    file.set_tensor(one["index"], value)
    buffer.write(value)
file.invoke()
model.run_by_index(0, fed, given)
kept = file.get_tensor(file.get_output_details()[0]["index"])
got = given[0].read(kept.size, kept.dtype).reshape(kept.shape)
told = "DIFFERS" if not np.abs(got.astype(float) - kept).max() <= {most:.9g} else "agrees"
print("kept apart", kept.ravel()[:9], {way!r}, got.ravel()[:9], told)
'''

_WAYS = {
    PLAIN: (_OTHERWISE, "experimental_op_resolver_type=plain"),
    DELEGATES: (_OTHERWISE, ""),
    COMPILED: (_COMPILED, ""),
}


_CONVERTING = '''"""Convert a SavedModel, and compare the file's answers with TensorFlow's."""
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

path, inputs = Path(__file__).parent, np.load(Path(__file__).parent / "inputs.npz")
loaded = tf.saved_model.load(str(path / "saved_model"))
content = tf.lite.TFLiteConverter.from_saved_model(str(path / "saved_model")).convert()
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
run = Interpreter(model_content=content, experimental_op_resolver_type=plain).get_signature_runner()
for call in range({calls}):
    fed = {{name: inputs[f"call_{{call}}_{{name}}"] for name in run.get_input_details()}}
    sound = loaded.signatures["serving_default"](**{{n: tf.constant(v) for n, v in fed.items()}})
    for name, got in run(**fed).items():
        wanted = sound[name].numpy()
        same = got.shape == wanted.shape and np.allclose(got, wanted, 1e-4, 1e-5)
        told = "agrees" if same else f"DIFFERS: {{got}} where TensorFlow has {{wanted}}"
        print(f"call {{call + 1}}, {{name}}: {{told}}")
'''


def reduce_difference(
    first: Mapping[str, Any],
    title: str,
    compared: Mapping[str, Any],
    model: str,
    *,
    seconds: float = 45.0,
) -> Reduction:
    """Return the smallest case of an op that parts.

    ``first`` is a location's, and ``compared`` what ``compare_ops`` was called with; ``seconds``
    is what shrinking may take, and what dividing the ``model`` may. ``CannotReduceError`` where
    the op alone does not differ.
    """
    if "kernels" in first:
        call = compared["calls"][first["call"] - 1]
        arguments = first, compared["content"], compared["file_signature"], call
        record = run_isolated(case_of_run, *arguments, tensorflow=False)
    else:
        reads = getattr(compared["load"], "reads", ())
        record = run_isolated(measure_in_child, first, **compared, reads=reads)
    if not record.ok:
        fault = f"the op cannot be cut out ({short_message(record.message)})"
        raise CannotReduceError(f"{fault}: {REPORT_WHOLE}")
    case, tries = _shrunk(record.value, seconds)
    measured = _measured(case)
    if measured is None or not measured.differs:
        fault = "the op that parts does not differ when it runs alone"
        raise CannotReduceError(f"{fault}: {REPORT_WHOLE}")
    # No part can be found in a model that the converter refuses: it makes no file of the whole.
    is_refused = compared["witness"] is None
    is_sound = bool(case.twin or case.kernels)
    flat = None if is_sound or is_refused else _flat_graph(model, compared)
    calls = compared["calls"][: first["call"]]
    found, more = (smallest_fault(flat, calls, seconds) if flat else None) or (None, 0)
    return Reduction(case, measured, printable(title, None), tries + more, found)


def _flat_graph(model: str, compared: Mapping[str, Any]) -> FlatGraph | None:
    """Return the graph of a model that is converted as a SavedModel."""
    graph, load = read_graph(model), compared["load"]
    if format_of(graph).needs_checkpoint:
        return None
    (source,) = load.load.args
    with temporary_folder("part-") as folder:
        return flattened(graph, source, compared["signature"], folder)
