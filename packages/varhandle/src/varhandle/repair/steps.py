"""The steps of a repair, in the order in which they follow each other.

Each has what ``cure`` runs and what a person would run to do the same by hand. To add one, write
both, and name it in ``STEPS``; a family names it as its ``repair_step``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.conversion.converter import convert
from varhandle.diagnosis import Diagnosis, Finding
from varhandle.display import printable
from varhandle.evaluate.caller_code import zeros_code
from varhandle.evaluate.example_inputs import example_calls
from varhandle.evaluate.parity import PLAIN, file_answers
from varhandle.evaluate.proof import ReferenceCalls, converter_words
from varhandle.evaluate.stateful_parity import add_carried_state
from varhandle.facts.recipes import RECIPES, ConverterSettings, Recipe, needs_calibration
from varhandle.facts.targets import Target
from varhandle.families import clamped_infinity, code, lost_activation
from varhandle.families.catalog import family
from varhandle.families.tensor_list import closing_code
from varhandle.formats import SAVED_MODEL, ModelFormat, format_of, read_graph
from varhandle.formats.custom_code import Import, read_folders
from varhandle.formats.registry import GRAPH_DEF
from varhandle.graph import Graph, Signature, TensorSpec
from varhandle.graph.signature_inference import infer_signature, sinks
from varhandle.repair.refusal import (
    ADD_SIGNATURE,
    OTHER_BUILTINS,
    OTHER_RECIPE,
    WRITE_OTHERWISE,
    NoCureError,
    because,
    change_for,
)
from varhandle.sandbox import run_isolated
from varhandle.savedmodel.checkpoint_freezer import checkpoint_beside, files_of, freeze_checkpoint
from varhandle.savedmodel.close_shapes import Sizes, close_signatures, export_closed
from varhandle.savedmodel.resave_tracked import (
    CALL,
    DEFAULT,
    batch_of_one,
    export_keras,
    save_tracked,
)
from varhandle.savedmodel.rewrite_signature import rewrite_signatures
from varhandle.tflite.externalize_state import Lifted, lift_state
from varhandle.tflite.runtime_support import update_runtime_version
from varhandle.tflite.shared_reads import split_shared_reads
from varhandle.tflite.variable_values import CannotLiftError
from varhandle.verdict_rules import GIVES_VALUES, without_builtin

if TYPE_CHECKING:
    from varhandle.repair.plan import RepairPlan

REWRITES = ("widen-dtype", "functional-updates", "compare-with-keys", "builtin-draws")
"""Steps that write a signature anew, all in the pass of the first."""

SETTINGS = {
    "keep-activations": lost_activation.SETTING,
    "keep-infinities": clamped_infinity.SETTING,
}
"""Steps that set something on the converter: the line that does it."""

_CHANGES = {"NoEntryError": ADD_SIGNATURE, "CannotRewriteError": WRITE_OTHERWISE}
"""What to change where a child that writes the model anew raised this."""


@dataclass
class RepairJob:
    """One run of ``cure``: what a step reads, and where it leaves what it made.

    Attributes:
        plan: The plan; a step may have to replace it by a longer one.
        inputs: Inputs of the signature, as ``given_inputs.given_calls`` takes them, or ``None``.
        folder: A folder to work in, which is removed afterwards.
        imports: The user's own code that the model needs.
        source: What is to be converted: the model itself, or what a step wrote of it.
        made: The float .tflite file, as it was converted.
        content: The .tflite file as far as it has come.
        lifted: The file whose state was lifted out; ``None`` if it keeps its own.
        held_source: A copy of a model that draws random numbers, which draws always the same one:
            that can be compared. Empty for any other, or where none can be made.
        held: The float .tflite file of that copy.
        asked: What the signatures of the float file are called with, and the model's own answers;
            set once it is made.
    """

    diagnosis: Diagnosis
    target: Target
    plan: RepairPlan
    inputs: Any
    trust: bool
    timeout: float
    folder: Path
    imports: tuple[Import, ...] = ()
    source: str = ""
    made: bytes = field(default=b"", repr=False)
    content: bytes = field(default=b"", repr=False)
    lifted: Lifted | None = None
    held_source: str = ""
    held: bytes = field(default=b"", repr=False)
    asked: Sequence[ReferenceCalls] = ()
    closings: Iterator[None] | None = None  # each makes a file that has more sizes closed

    def __post_init__(self) -> None:
        self.source = self.path
        if self.model_format.is_converted:
            self.made = self.content = Path(self.source).read_bytes()

    @property
    def graph(self) -> Graph:
        """The model, as it was read."""
        return self.diagnosis.graph

    @property
    def model_format(self) -> ModelFormat:
        """The model's format."""
        return format_of(self.graph)

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers: no two of its answers are alike."""
        return any(family(f.id).never_equal for f in self.diagnosis.findings)

    @property
    def path(self) -> str:
        """The model's place, as TensorFlow takes it."""
        return self.model_format.path_to_load(self.graph.source)

    @property
    def signatures(self) -> list[str]:
        """The signatures to take of ``source``; none where it has none."""
        return [DEFAULT] if "export" in self.plan.steps else list(self.plan.signatures)

    @property
    def called(self) -> list[ReferenceCalls]:
        """The signatures of the float file, each called by itself."""
        return [one for one in self.asked if not one.in_turns]

    @property
    def error(self) -> Finding | None:
        """The worst error that was found in the model."""
        return next((f for f in self.diagnosis.findings if f.severity == "error"), None)

    def rewrite(
        self,
        write: Callable[..., Any],
        *arguments: Any,
        name: str = "prepared",
        reads: Iterable[str | Path] = (),
    ) -> None:
        """Let a child write the model anew: ``write(source, target, *arguments)``.

        ``reads`` are files that it needs beside the model. ``NoCureError`` if it did not work.
        """
        target = str(self.folder / name)
        record = run_isolated(
            *(write, self.source, target, *arguments),
            timeout=self.timeout,
            reads=[self.source, *read_folders(self.imports), *reads],
            writes=[self.folder],
        )
        if not record.ok:
            words = record.message.strip().splitlines()
            reason = f"{self.plan.id} does not work here: {words[0] if words else record.outcome}"
            said = record.exception_type
            if self.plan.id == STEPS["compare-with-keys"].plan_id:
                said = ""  # the finding's own fix is for tables
            change = change_for(self.error, WRITE_OTHERWISE)
            change = _CHANGES.get(said or "", change)
            raise NoCureError(f"no safe cure: {reason}", self.error, change)
        self.source = target


@dataclass(frozen=True)
class RepairStep:
    """One step of a repair plan.

    Attributes:
        does: What it does, for a person.
        plan_id: What a plan is called whose point it is; empty if it never is.
        run: Does it; raises ``NoCureError``.
        code: Writes what a person would run to do it by hand, from the variable ``source`` (a
            model) or ``content`` (a .tflite file) to the same.
    """

    does: str
    plan_id: str
    run: Callable[[RepairJob], None]
    code: Callable[[Diagnosis, RepairPlan], list[str]]


def _do_nothing(_: RepairJob) -> None:
    """Take what is there, a .tflite file or one signature; or leave it to the conversion."""


def _no_code(_: Diagnosis, __: RepairPlan) -> list[str]:
    return []


def _freeze(job: RepairJob) -> None:
    outputs = [spec.name for spec in infer_signature(job.graph).outputs]
    checkpoint = str(checkpoint_beside(job.graph))
    files = files_of(checkpoint)
    job.rewrite(freeze_checkpoint, checkpoint, outputs, name="frozen.pb", reads=files)


def _freeze_code(diagnosis: Diagnosis, _: RepairPlan) -> list[str]:
    checkpoint = str(checkpoint_beside(diagnosis.graph))
    return [
        "from varhandle.savedmodel.checkpoint_freezer import restored_session",
        "",
        f"with restored_session(source, {checkpoint!r}) as session:",
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
        f"        session, session.graph.as_graph_def(), {list(sinks(diagnosis.graph))!r}",
        "    )",
        'source = "frozen.pb"',
        "open(source, 'wb').write(frozen.SerializeToString())",
    ]


def _export(job: RepairJob) -> None:
    """Save a Keras file as it is, unless a later step closes its sizes in the same pass."""
    if "close-shapes" not in job.plan.steps:
        _export_open(job)


def _export_open(job: RepairJob) -> None:
    export = partial(export_keras, float32=_in_float32(job.plan))
    job.rewrite(export, job.trust, job.imports, name="exported")


def _in_float32(plan: RepairPlan) -> bool:
    return "float32-policy" in plan.steps


def _export_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    if "close-shapes" in plan.steps:
        return _loading_code(diagnosis, plan)
    return [
        *_loading_code(diagnosis, plan),
        "specs = [tf.TensorSpec(one.shape, one.dtype, one.name) for one in model.inputs]",
        'model.export("exported", input_signature=specs if len(specs) == 1 else [specs])',
        'source = "exported"',
    ]


def _close_shapes(job: RepairJob) -> None:
    """Close the batch alone, then every size, and take the first file that runs.

    The sizes are those of the inputs that were given, where there are any.
    """
    job.closings = _closed_files(job)
    next(job.closings)


def close_more(job: RepairJob) -> bool:
    """Close more sizes, where a file with fewer closed answers otherwise; tell if that gave one."""
    for _ in job.closings or ():
        after = list(STEPS)[list(STEPS).index("close-shapes") + 1 :]
        for name in after:
            if name in job.plan.steps and name != "quantize":
                STEPS[name].run(job)
        return True
    return False


def _closed_files(job: RepairJob) -> Iterator[None]:
    """Make one file after the other that runs; ``NoCureError`` if none does."""
    origin, plan, is_closed = job.source, job.plan, False
    problem = NoCureError("no safe cure: it has no open sizes to close", change=WRITE_OTHERWISE)
    for number, shapes in enumerate(_closings(job)):
        job.source = origin
        try:
            _close(job, shapes, f"closed-{number}")
            job.made = job.content = _convert_source(job)
            _run_once(job)
        except NoCureError as error:
            problem = error
            continue
        taken = _taken(job)
        told = "; ".join(
            f"{printable(name)} {[-1 if size is None else size for size in shape]}"
            for sizes in taken.values()
            for name, shape in sizes.items()
        )
        open_ones = " (-1 stays open)" if "-1" in told else ""
        why = f"{plan.why} The file takes {told}{open_ones}."
        job.plan = replace(plan, why=why, shapes=taken)
        job.plan = job.plan.with_step(job.diagnosis, "close-shapes", "")
        is_closed = True
        yield
    if is_closed:
        return
    cause = next(iter(job.diagnosis.other), "")
    if cause and problem.change == OTHER_BUILTINS and not cause.endswith(GIVES_VALUES):
        raise because(cause, problem.change)
    if job.model_format.can_export:
        raise problem
    inputs = job.graph.signature(job.signatures[0]).inputs
    raise NoCureError(problem.reason, problem.finding, closing_code(inputs)) from problem


def _close(job: RepairJob, shapes: Mapping[str, Sizes], name: str) -> None:
    if job.model_format.can_export:
        loading = (job.trust, job.imports, _in_float32(job.plan))
        job.rewrite(export_closed, shapes, loading, name=name)
    else:
        job.rewrite(close_signatures, shapes, name=name)


_Shapes = dict[str, dict[str, list[int | None]]]


def _taken(job: RepairJob) -> _Shapes:
    """Return the shapes that the closed signatures take, by signature and input."""
    graph = read_graph(job.source)
    return {
        name: {spec.name: list(spec.shape) for spec in graph.signature(name).inputs if spec.shape}
        for name in job.signatures
    }


def _closings(job: RepairJob) -> Iterator[_Shapes]:
    """Yield shapes by signature and input, each closing more than the one before.

    What they do not name gets a batch of 1. Only for more a Keras file has to be exported first.
    """
    if job.model_format.can_export:
        if job.inputs is None and job.target.resizes:
            yield {name: {} for name in job.signatures}
        job.source = job.path
        graph, signatures = _exported(job)
    else:
        graph = read_graph(job.source)
        signatures = [graph.signature(name) for name in job.signatures]
    if job.inputs is not None:
        first = signatures[0]
        calls = example_calls(graph, first, 1, job.inputs).calls
        sizes = {name: _agreeing([np.shape(call[name]) for call in calls]) for name in calls[0]}
        yield {first.name: sizes, **{one.name: {} for one in signatures[1:]}}
        return
    batch = {
        one.name: {spec.name: batch_of_one(spec.shape) for spec in one.inputs if spec.shape}
        for one in signatures
    }
    if not job.model_format.can_export and job.target.resizes:
        yield batch
    every = {
        one.name: {spec.name: _closed(spec, calls[0][spec.name]) for spec in one.inputs}
        for one in signatures
        for calls in [example_calls(graph, one, 1).calls]
    }
    if every != batch or not job.target.resizes:
        yield every


def _exported(job: RepairJob) -> tuple[Graph, list[Signature]]:
    """Export a Keras file as it is, and read its signatures; a layer may refuse open sizes."""
    try:
        _export_open(job)
    except NoCureError:
        entry = job.graph.main_signature
        if not entry.inputs:
            raise
        return job.graph, [replace(entry, name=name) for name in job.signatures]
    graph = read_graph(job.source)
    return graph, [graph.signature(name) for name in job.signatures]


_LENGTH = 64
"""Of what is no batch, where nothing tells a better size: it can be halved a few times."""


def _closed(spec: TensorSpec, example: Any) -> list[int | None]:
    """Close a shape as an example of it is, of which only the batch may be 1."""
    sizes = list(np.shape(example))
    is_open = [size is None for size in spec.shape or ()]
    lengths = [True] * len(sizes) if spec.shape is None else is_open
    return [
        _LENGTH if place and size == 1 and lengths[place] else size
        for place, size in enumerate(sizes)
    ]


def _agreeing(shapes: Sequence[tuple[int, ...]]) -> list[int | None]:
    """Return the sizes that several calls have in common, and ``None`` for the others."""
    return [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]


def _run_once(job: RepairJob) -> None:
    """Call every signature of the file that was made once; ``NoCureError`` if one does not run."""
    made = read_graph(job.made)
    for one in made.signatures:
        calls = example_calls(made, one, 1, content=job.made).calls
        record = run_isolated(
            file_answers, job.made, calls, one.name, PLAIN, timeout=job.timeout, tensorflow=False
        )
        if not record.ok:
            reason = f"the file does not run: {record.message or record.outcome}"
            change = change_for(job.error, OTHER_BUILTINS)
            raise NoCureError(f"no safe cure: {reason}", job.error, change)


def _close_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    if format_of(diagnosis.graph).can_export:
        sizes: Sizes = next(iter(plan.shapes.values()), {})
        return [
            f"shapes = {dict(sizes)!r}",
            "specs = [",
            "    tf.TensorSpec(shapes.get(one.name, [1, *one.shape[1:]]), one.dtype, one.name)",
            "    for one in model.inputs",
            "]",
            'model.export("closed", input_signature=specs if len(specs) == 1 else [specs])',
            'source = "closed"',
        ]
    shapes = dict(plan.shapes) or {name: {} for name in plan.signatures}
    return [
        "# A batch of 1, in the constants of the graph as well.",
        "from varhandle.savedmodel.close_shapes import close_signatures",
        "",
        f'close_signatures(source, "closed", {shapes!r})',
        'source = "closed"',
    ]


def _loading_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    options = f", imports={list(diagnosis.imports)!r}" * bool(diagnosis.imports)
    return code.load_keras_code(diagnosis.graph, options + ", float32=True" * _in_float32(plan))


def _track(job: RepairJob) -> None:
    job.rewrite(save_tracked, job.signatures or [CALL])


def _track_code(_: Diagnosis, plan: RepairPlan) -> list[str]:
    if not plan.signatures:
        return [
            "from varhandle.savedmodel.resave_tracked import CALL, save_tracked",
            "",
            'save_tracked(source, "held", [CALL])',
            'source = "held"',
        ]
    return [
        "def calling(function):",
        "    return tf.function(lambda **inputs: function(**inputs), autograph=False)",
        "",
        "loaded = tf.saved_model.load(source)",
        f"functions = {{name: loaded.signatures[name] for name in {list(plan.signatures)!r}}}",
        "module = tf.Module()",
        "module.held = [v for f in functions.values() for v in f.graph.variables]",
        "module.calls, signatures = [], {}",
        "for name, function in functions.items():",
        "    call, specs = calling(function), function.structured_input_signature[1]",
        "    signatures[name] = call.get_concrete_function(**specs)",
        "    module.calls.append(call)",
        'tf.saved_model.save(module, "held", signatures=signatures)',
        'source = "held"',
    ]


def _rewrite(job: RepairJob) -> None:
    """Carry values in a wider dtype and make updates of a part whole, both in one pass."""
    job.rewrite(rewrite_signatures, job.signatures or [CALL], list(job.plan.narrow))


def _rewrite_code(_: Diagnosis, plan: RepairPlan) -> list[str]:
    entries = [DEFAULT] if "export" in plan.steps else list(plan.signatures) or [CALL]
    return [
        "# Each op of the signature is written anew; TensorFlow has no call that does it.",
        "from varhandle.savedmodel.rewrite_signature import rewrite_signatures",
        "",
        f'rewrite_signatures(source, "rewritten", {entries!r}, {list(plan.narrow)!r})',
        'source = "rewritten"',
    ]


def _rewrite_once(job: RepairJob, step: str) -> None:
    """Rewrite, unless an earlier step has: one pass does all of it."""
    if _is_first(job.plan, step):
        _rewrite(job)


def _rewrite_once_code(step: str, diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    return _rewrite_code(diagnosis, plan) if _is_first(plan, step) else []


def _is_first(plan: RepairPlan, step: str) -> bool:
    return next(one for one in plan.steps if one in REWRITES) == step


def _convert(job: RepairJob) -> None:
    known = (job.diagnosis.signature,) if job.diagnosis.signature else ()
    proof = job.diagnosis.proof
    proved = proof.content if proof and job.plan.signatures == known else None
    untouched = job.source == job.path and not SETTINGS.keys() & set(job.plan.steps)
    if "close-shapes" not in job.plan.steps:  # which has converted what it closed
        job.made = job.content = (untouched and proved) or _convert_by_either_door(job)
    if job.draws:
        _hold_draws(job)
    keeps = job.target.resource_variables and not needs_calibration(job.plan.quantization)
    if not keeps and "lift" not in job.plan.steps and read_graph(job.made).variables:
        why = "The converted file keeps a state, which becomes inputs and outputs."
        job.plan = job.plan.with_step(job.diagnosis, "lift", why)


def _hold_draws(job: RepairJob) -> None:
    """Make the copy that can be compared; where that is not possible, nothing is compared."""
    source, entries = job.source, job.signatures or [DEFAULT]
    with contextlib.suppress(NoCureError):
        job.rewrite(rewrite_signatures, entries, [], True, name="held")
        job.held, job.held_source = _convert_source(job), job.source
    job.source = source


def _convert_by_either_door(job: RepairJob) -> bytes:
    try:
        return _convert_source(job)
    except NoCureError:
        if not job.model_format.can_export:
            raise
        if "export" in job.plan.steps:
            if not _closes_too(job):
                raise
            return job.content
    # A Keras model that is stateful may go through its other door alone.
    why = "Its other door, by Model.export, is the one that is open."
    job.plan = job.plan.with_step(job.diagnosis, "export", why)
    try:
        _export(job)
        return _convert_source(job)
    except NoCureError:
        if not _closes_too(job):
            raise
        return job.content


def _closes_too(job: RepairJob) -> bool:
    """Close the sizes of a Keras model whose export is not converted; tell if that helps."""
    open_sizes = any(None in (spec.shape or (None,)) for spec in job.graph.main_signature.inputs)
    if not open_sizes or set(REWRITES) & set(job.plan.steps):
        return False
    source, plan = job.source, job.plan
    job.source = job.path
    with contextlib.suppress(NoCureError):
        _close_shapes(job)
        return True
    job.source, job.plan = source, plan
    return False


def _split_shared_reads(job: RepairJob) -> None:
    job.made = job.content = split_shared_reads(job.content)


def _split_shared_reads_code(_: Diagnosis, __: RepairPlan) -> list[str]:
    return [
        "",
        "from varhandle.tflite.shared_reads import split_shared_reads",
        "",
        "content = split_shared_reads(content)",
    ]


def _convert_source(job: RepairJob, settings: ConverterSettings | None = None) -> bytes:
    if SETTINGS.keys() & set(job.plan.steps):
        settings = replace(
            settings or ConverterSettings(),
            unfold_batchmatmul="keep-activations" in job.plan.steps,
            keep_infinities="keep-infinities" in job.plan.steps,
        )
    record = convert(
        job.source,
        settings=settings,
        signature_keys=job.signatures,
        trust=job.trust,
        timeout=job.timeout,
        imports=job.imports,
    ).record
    if not record.ok:
        found = job.error if job.source == job.path else None
        change = change_for(found, OTHER_BUILTINS)
        words = without_builtin(record) or converter_words(record)
        raise NoCureError(f"no safe cure: {words}", job.error, change)
    content: bytes = record.value
    return content


def _convert_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    recipe = RECIPES[plan.quantization] if plan.quantization else None
    if recipe and recipe.selective:
        return []  # it is the recipe that converts
    saved = {"export", "close-shapes", "track-variables", *REWRITES} & set(plan.steps)
    model_format = SAVED_MODEL if saved else format_of(diagnosis.graph)
    if "freeze" in plan.steps:
        model_format = GRAPH_DEF
    called = model_format.call_signature(diagnosis.graph, None)
    by_converter = recipe and not plan.quantizes_file(diagnosis)
    opening = model_format.converter_code(called, plan.signatures)
    if diagnosis.graph.has_old_optimizer and not saved:
        opening = [
            "# tf.saved_model.load has no class for the optimizer, which is of Keras 2.",
            "from varhandle.formats.saved_model import load_old_optimizers",
            "",
            "load_old_optimizers()",
            *opening,
        ]
    return [
        *([] if saved or not model_format.can_export else _loading_code(diagnosis, plan)),
        *opening,
        *(_settings_code(recipe, diagnosis, plan) if recipe and by_converter else []),
        *(line for step, line in SETTINGS.items() if step in plan.steps),
        "content = converter.convert()",
    ]


def _calls_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    """Write what calibration is to see, by signature; ``''`` where the model has none."""
    graph, lines = diagnosis.graph, []
    for name in plan.signatures or ("",):
        found = graph.signature(name) if name else format_of(graph).call_signature(graph, None)
        signature = found or graph.main_signature
        closed = plan.shapes.get(name, {})
        given = [
            replace(spec, shape=tuple(closed[spec.name])) if spec.name in closed else spec
            for spec in signature.inputs
        ]
        call = ", ".join(f"{spec.name!r}: {zeros_code(spec)}" for spec in given)
        lines.append(f"    {name!r}: [{{{call}}}],")
    return [
        "import numpy as np",
        "",
        "# Calibration: put inputs of your own in place of the zeros, a dictionary for each call.",
        "calls = {",
        *lines,
        "}",
    ]


def _settings_code(recipe: Recipe, diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    """Write what a recipe sets on the converter."""
    settings = recipe.settings
    ops = ", ".join(f"tf.lite.OpsSet.{name}" for name in settings.supported_ops)
    lines = [
        "converter.optimizations = [tf.lite.Optimize.DEFAULT]",
        f"converter.target_spec.supported_ops = [{ops}]",
    ]
    if settings.supported_types:
        types = ", ".join(f"tf.{name}" for name in settings.supported_types)
        lines.append(f"converter.target_spec.supported_types = [{types}]")
    if recipe.calibrated:
        lines += [
            *_calls_code(diagnosis, plan),
            "converter.representative_dataset = lambda: (",
            "    (name, call) for name in calls for call in calls[name]"
            if plan.signatures
            else "    list(call.values()) for call in calls['']",
            ")",
            f"converter.inference_input_type = tf.{settings.inference_input_type}",
            f"converter.inference_output_type = tf.{settings.inference_output_type}",
        ]
    return lines


def _lift(job: RepairJob) -> None:
    try:
        job.lifted = lift_state(job.content)
    except CannotLiftError as error:
        reason = f"no safe cure for {job.target.name}: cannot lift the state: {error.fault}"
        change = f"{error.step[0].upper()}{error.step[1:]}."
        raise NoCureError(reason, change=change) from error
    job.content = update_runtime_version(job.lifted.content)


def _lift_code(_: Diagnosis, __: RepairPlan) -> list[str]:
    return [
        "",
        "from varhandle import lift_state",
        "from varhandle.tflite.runtime_support import update_runtime_version",
        "",
        "lifted = lift_state(content)",
        "content, state = update_runtime_version(lifted.content), lifted.start()",
    ]


def _quantize(job: RepairJob) -> None:
    """Quantize: by the converter, or a .tflite file that is there already.

    Calibration must see the state, so a state is lifted before a calibrated recipe, and the lifted
    file is what is quantized.
    """
    from varhandle.conversion.quantization import quantize
    from varhandle.conversion.quantization_debugger import QuantizationError

    recipe = RECIPES[str(job.plan.quantization)]
    try:
        if job.plan.quantizes_file(job.diagnosis):
            job.content = _quantized_file(job, recipe)
        elif recipe.selective:
            samples = [list(call.values()) for call in job.called[0].calls]
            job.content = quantize(job.source, recipe.name, samples, timeout=job.timeout).content
        else:
            made = _convert_source(job, _settings(job, recipe))
            job.content = update_runtime_version(lift_state(made).content) if job.lifted else made
    except NoCureError:
        raise
    except QuantizationError as error:
        reason = f"no safe cure with {recipe.name}: {error.fault}"
        change = f"{error.step[0].upper()}{error.step[1:]}."
        raise NoCureError(reason, change=change) from error
    except (ValueError, KeyError) as error:
        reason = f"no safe cure with {recipe.name}: {error}"
        raise NoCureError(reason, change=OTHER_RECIPE) from error


def _quantized_file(job: RepairJob, recipe: Recipe) -> bytes:
    from varhandle.conversion.quantization import quantize_file

    calls: dict[str, Any] = {
        one.names_in(job.content)[0] or "": list(one.calls) for one in job.called
    }
    kept: list[str] = []
    if job.lifted is not None:
        calls = {name: add_carried_state(job.lifted, c, name or None) for name, c in calls.items()}
        kept = sorted(job.lifted.initial_state)
    if recipe.float_inputs:
        kept += [name for one in job.called for name in one.calls[0]]
        kept += [spec.name for one in job.called for spec in one.signature.outputs]
    bits = recipe.activation_bits
    return quantize_file(
        job.content, calls, activation_bits=bits, float_tensors=kept, timeout=job.timeout
    ).content


def _settings(job: RepairJob, recipe: Recipe) -> ConverterSettings:
    if not recipe.calibrated:
        return recipe.settings
    samples: list[Any] = [
        (one.signature.name, dict(call)) if job.signatures else list(call.values())
        for one in job.called
        for call in one.calls
    ]
    return replace(recipe.settings, representative_dataset=samples)


def _quantize_code(diagnosis: Diagnosis, plan: RepairPlan) -> list[str]:
    recipe = RECIPES[str(plan.quantization)]
    if recipe.selective:  # by what quantizing each layer costs: that is no converter's setting
        return [
            *_calls_code(diagnosis, plan),
            "from varhandle import quantize",
            "",
            "samples = [list(call.values()) for each in calls.values() for call in each]",
            f"content = quantize(source, {recipe.name!r}, samples).content",
        ]
    if not plan.quantizes_file(diagnosis):
        return []
    kept, lines = "[]", ["", "from varhandle.conversion.quantization import quantize_file"]
    if "lift" in plan.steps:
        kept = "sorted(state)"
        lines += ["from varhandle.evaluate.stateful_parity import add_carried_state", ""]
        lines += _calls_code(diagnosis, plan)
        lines.append(
            "calls = {name: add_carried_state(lifted, calls[name], name or None) for name in calls}"
        )
    else:
        lines += ["", *_calls_code(diagnosis, plan)]
    if recipe.float_inputs:  # the inputs and outputs that the file has besides the state
        graph = diagnosis.graph
        sides = [graph.signature(name) for name in plan.signatures] or [graph.main_signature]
        names = sorted({spec.name for one in sides for spec in (*one.inputs, *one.outputs)})
        kept += f" + {names!r}"
    bits = recipe.activation_bits
    return [
        *lines,
        f"made = quantize_file(content, calls, activation_bits={bits}, float_tensors={kept})",
        "content = made.content",
    ]


STEPS: Mapping[str, RepairStep] = {
    "as-it-is": RepairStep("take the file as it is", "as-it-is", _do_nothing, _no_code),
    "freeze": RepairStep(
        "put the checkpoint's values into the graph", "freeze", _freeze, _freeze_code
    ),
    "signature": RepairStep("take one signature only", "take-signature", _do_nothing, _no_code),
    "float32-policy": RepairStep(
        "load the Keras model in float32", "float32-policy", _do_nothing, _no_code
    ),
    "export": RepairStep("save the Keras model as a SavedModel", "", _export, _export_code),
    "track-variables": RepairStep(
        "hold the captured variables in a module, and save again",
        "hold-variables",
        _track,
        _track_code,
    ),
    "close-shapes": RepairStep(
        "give the open sizes of the inputs a value", "close-shapes", _close_shapes, _close_code
    ),
    "widen-dtype": RepairStep(
        "carry values in a wider dtype", "recast-state", _rewrite, _rewrite_code
    ),
    "functional-updates": RepairStep(
        "compute whole new values instead of updates of a part",
        "whole-updates",
        partial(_rewrite_once, step="functional-updates"),
        partial(_rewrite_once_code, "functional-updates"),
    ),
    "compare-with-keys": RepairStep(
        "look up by comparison with the keys of a table",
        "compare-with-keys",
        partial(_rewrite_once, step="compare-with-keys"),
        partial(_rewrite_once_code, "compare-with-keys"),
    ),
    "builtin-draws": RepairStep(
        "draw random numbers by builtins",
        "builtin-draws",
        partial(_rewrite_once, step="builtin-draws"),
        partial(_rewrite_once_code, "builtin-draws"),
    ),
    "keep-activations": RepairStep(
        "let the converter keep the activation in the product that it is of",
        "keep-activations",
        _do_nothing,
        _no_code,
    ),
    "keep-infinities": RepairStep(
        "let the converter leave infinite constants as they are",
        "keep-infinities",
        _do_nothing,
        _no_code,
    ),
    "convert": RepairStep("convert", "convert", _convert, _convert_code),
    "split-shared-reads": RepairStep(
        "read a variable anew for each input of an op that takes it twice",
        "split-shared-reads",
        _split_shared_reads,
        _split_shared_reads_code,
    ),
    "lift": RepairStep("lift the state into inputs and outputs", "lift-state", _lift, _lift_code),
    "quantize": RepairStep("quantize", "quantize", _quantize, _quantize_code),
}
"""Name, as in ``RepairPlan.steps``, to step; in their order."""
