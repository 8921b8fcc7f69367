"""The work of a cure: make the file by the way that was chosen, and prove it.

Everything that TensorFlow or an interpreter does to a model happens in child processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from varhandle.conversion.converter import convert
from varhandle.diagnosis import Diagnosis, Finding
from varhandle.evaluate.example_inputs import CallsError, load_calls, make_calls
from varhandle.evaluate.parity import TOLERANCES
from varhandle.evaluate.proof import converter_words
from varhandle.evaluate.reference import NotRepeatableError, reference_answers
from varhandle.evaluate.stateful_parity import (
    MICRO,
    CarriedState,
    compare_file,
    has_micro,
    with_state,
)
from varhandle.facts.recipes import RECIPES, ConverterSettings, needs_calibration
from varhandle.facts.targets import Target, refusals, with_own_release
from varhandle.formats import ModelFormat, format_of, read_graph
from varhandle.graph import Graph, Signature, TensorSpec
from varhandle.graph.signature_inference import infer_signature
from varhandle.repair.plan import (
    NoCureError,
    NotProvenError,
    Way,
    by_export,
    by_lifting,
    checkpoint_beside,
    listed,
)
from varhandle.repair.result import Cured
from varhandle.sandbox import Record, run_isolated
from varhandle.savedmodel.resave_tracked import CALL, DEFAULT
from varhandle.tflite.externalize_state import Lifted, lift_state
from varhandle.tflite.flatbuffer import unpack
from varhandle.tflite.variable_effects import CannotLiftError

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity

    Calls = Sequence[Mapping[str, Any]]

_CALLS = 20
"""Made-up calls that are compared: a ring or a counter has to go round."""
_MADE_UP = (
    "The calls were made up: bring inputs of your own (--inputs) before you rely on the comparison."
)
_MADE_UP_CALIBRATION = (
    "The ranges were calibrated with made-up calls: bring inputs of your own (--inputs), or the "
    "quantized file saturates on real ones."
)


class _Asked(NamedTuple):
    """One signature, what it is called with, and TensorFlow's answers."""

    signature: Signature
    calls: Calls
    expected: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Work:
    """One run of :func:`~varhandle.repair.run.cure`: what is asked, and where it is done.

    Attributes:
        diagnosis: What was found in the model.
        place: Where the file is to run.
        inputs: Inputs of the signature, as ``load_calls`` takes them; made up if ``None``.
        trust: Whether code that the model brings along may run.
        timeout: Seconds that each step may take.
        folder: A folder to work in, which is removed afterwards.
    """

    diagnosis: Diagnosis
    place: Target
    inputs: Any
    trust: bool
    timeout: float
    folder: Path

    @property
    def graph(self) -> Graph:
        """The model, as it was read."""
        return self.diagnosis.graph

    @property
    def model_format(self) -> ModelFormat:
        """The model's format."""
        return format_of(self.graph)

    @property
    def path(self) -> str:
        """The model's place: of a SavedModel the folder."""
        return self.model_format.path_to_load(self.graph.source)

    def cured(self, way: Way) -> Cured:
        """Go a way, and prove what comes of it.

        Args:
            way: The way that was chosen. Another one is gone where it turns out to be needed.

        Returns:
            The file, and the proof.

        Raises:
            NoCureError: There is no safe cure; it says what stands in the way, and what to change.
            CallsError: ``inputs`` do not fit.
        """
        way, source, content = self._float_file(way)
        asked = self._asked(way, content)
        way, lifted, content = self._lifted(way, content)
        if way.quantization is None:
            self._check_place(content)
        parity = self._proven(way, content, asked, lifted, None)
        quantized, plain = None, content
        if way.quantization is not None:
            content = self._quantized(source, way, content, asked, lifted)
            self._check_place(content)
            quantized = self._proven(way, content, asked, lifted, way.quantization)
        notes = (*self._notes(way, lifted, parity), *self._unchanged(way, plain, content))
        return Cured(
            content, way, self.diagnosis, self.place, parity, quantized,
            {} if lifted is None else lifted.start(),
            len(asked[0].calls), notes, len(plain), asked[0].calls, asked[0].expected,
        )  # fmt: skip

    def _check_place(self, content: bytes) -> None:
        """Refuse a file that the target would not take."""
        why = refusals(read_graph(content), self.place, content)
        if why:
            raise NoCureError(f"no safe cure for {self.place.name}: {why[0]}", change=_OTHER_OPS)

    def _notes(self, way: Way, lifted: Lifted | None, parity: Parity) -> list[str]:
        notes = []
        if way.left_out:
            kind = "signature" if len(way.left_out) == 1 else "signatures"
            notes.append(f"Not in the file: the {kind} {listed(way.left_out)}.")
        if parity.tolerance is not None:
            notes.append(
                f"It calculates in {' and '.join(way.narrow)}: kernels round its steps one way or "
                f"the other, so answers may differ by {parity.tolerance:g} of their size."
            )
        if self.inputs is None:
            made_up = _MADE_UP_CALIBRATION if needs_calibration(way.quantization) else _MADE_UP
            notes.append(made_up)
        if self.place.id == "micro" and not (has_micro() and len(way.signatures) < 2):
            notes.append("It was not run on TensorFlow Lite Micro; its table of ops was compared.")
        if lifted is not None and lifted.note:
            notes.append(lifted.note)
        if self.model_format.is_converted:
            notes.append("Compared with the file's own answers: there is no TensorFlow model.")
        return notes

    def _unchanged(self, way: Way, plain: bytes, content: bytes) -> tuple[str, ...]:
        """Say it where a recipe found nothing to do: dynamic range leaves small weights alone."""
        if way.quantization is None or _dtypes(plain) != _dtypes(content):
            return ()
        return (f"The recipe {way.quantization} changed nothing: it found no weights to quantize.",)

    # Making the file.

    def _prepared(self, way: Way) -> str:
        """Write the model anew where the way says so; return the place of what is converted."""
        from varhandle.savedmodel import checkpoint_freezer, resave_tracked, rewrite_signature

        source, target = self.path, str(self.folder / "prepared")
        names = list(way.signatures) or [CALL]
        if "export" in way.steps:
            source, names = str(self.folder / "exported"), [DEFAULT]
            self._run(way, resave_tracked.export_keras, self.path, source, self.trust)
        if "recast" in way.steps or "whole" in way.steps:
            self._run(way, rewrite_signature.rebuild, source, target, names, list(way.narrow))
        elif "hold" in way.steps:
            self._run(way, resave_tracked.rehold, self.path, target, names)
        elif "freeze" in way.steps:
            target += ".pb"
            outputs = [spec.name for spec in infer_signature(self.graph).outputs]
            checkpoint = str(checkpoint_beside(self.diagnosis))
            self._run(
                way, checkpoint_freezer.freeze_checkpoint, self.path, checkpoint, outputs, target
            )
        else:
            return source
        return target

    def _run(self, way: Way, function: Any, *arguments: Any) -> Any:
        record = run_isolated(function, *arguments, timeout=self.timeout)
        if record.ok:
            return record.value
        words = record.message.strip().splitlines()
        reason = f"{way.id} does not work here: {words[0] if words else record.outcome}"
        raise NoCureError(f"no safe cure: {reason}", self._error(), self._changed(record))

    def _changed(self, record: Record) -> str:
        """Say what to change where the model could not be written anew."""
        if record.exception_type == "NoEntryError":
            return _SIGN
        if record.exception_type == "CannotRebuildError":
            return _ANOTHER_UPDATE
        return ""

    def _error(self) -> Finding | None:
        """Return the worst error that was found."""
        return next((f for f in self.diagnosis.findings if f.severity == "error"), None)

    def _float_file(self, way: Way) -> tuple[Way, str, bytes]:
        """Make the float file; return it with the way that led to it, and what was converted."""
        source = self._prepared(way)
        if self.model_format.is_converted:
            return way, source, Path(source).read_bytes()
        proof = self.diagnosis.proof
        known = (self.diagnosis.signature,) if self.diagnosis.signature else ()
        if source == self.path and proof and proof.content and way.signatures == known:
            return way, source, proof.content
        try:
            return way, source, self._through_door(source, way, None)
        except NoCureError:
            if not self.model_format.can_export or "export" in way.steps:
                raise
            return self._exported(way)

    def _exported(self, way: Way) -> tuple[Way, str, bytes]:
        """Take the other door of a Keras model; a stateful one may go through it alone."""
        other = by_export(self.diagnosis, way)
        source = self._prepared(other)
        return other, source, self._through_door(source, other, None)

    def _through_door(self, source: str, way: Way, settings: ConverterSettings | None) -> bytes:
        names = [DEFAULT] if "export" in way.steps else list(way.signatures)
        record = convert(
            source, settings=settings, signature_keys=names, trust=self.trust, timeout=self.timeout
        ).record
        if not record.ok:
            change = "" if source == self.path and self._error() else _OTHER_BUILTINS
            raise NoCureError(f"no safe cure: {converter_words(record)}", self._error(), change)
        content: bytes = record.value
        return content

    def _lifted(self, way: Way, content: bytes) -> tuple[Way, Lifted | None, bytes]:
        """Lift the state if the way says so, or a file shows one that Keras did not tell of."""
        if "lift" not in way.steps:
            stateful = bool(read_graph(content).variables)
            if not stateful or (
                self.place.resource_variables and not needs_calibration(way.quantization)
            ):
                return way, None, content
            way = by_lifting(self.diagnosis, way)
        try:
            lifted = lift_state(content)
        except CannotLiftError as error:
            raise NoCureError(
                f"no safe cure for {self.place.name}: {error}",
                change="Keep the state outside: make it an input and an output of the model.",
            ) from error
        return way, lifted, with_own_release(lifted.content)

    def _quantized(
        self, source: str, way: Way, content: bytes, asked: Sequence[_Asked], lifted: Lifted | None
    ) -> bytes:
        from varhandle.conversion.quantization import quantize, quantize_file
        from varhandle.conversion.quantization_debugger import QuantizationError

        recipe = RECIPES[str(way.quantization)]
        try:
            if (lifted is not None and recipe.calibrated) or self.model_format.is_converted:
                calls: dict[str, Any] = {
                    _name_in(content, one.signature) or "": list(one.calls) for one in asked
                }
                if lifted is not None:
                    calls = {n: with_state(lifted, c, n or None) for n, c in calls.items()}
                kept = [] if lifted is None else sorted(lifted.initial_state)
                if recipe.float_inputs:
                    kept += [name for one in asked for name in one.calls[0]]
                    kept += [spec.name for one in asked for spec in one.signature.outputs]
                return quantize_file(
                    content,
                    calls,
                    activation_bits=recipe.activation_bits,
                    float_tensors=kept,
                    timeout=self.timeout,
                ).content
            if recipe.selective:
                calls_listed = [list(call.values()) for call in asked[0].calls]
                return quantize(source, recipe, calls_listed, timeout=self.timeout).content
        except (QuantizationError, ValueError, KeyError) as error:
            raise NoCureError(
                f"no safe cure with {recipe.name}: {error}", change=_OTHER_RECIPE
            ) from error
        made = self._through_door(source, way, self._settings(recipe, way, asked))
        if lifted is None:
            return made
        return with_own_release(lift_state(made).content)

    def _settings(self, recipe: Any, way: Way, asked: Sequence[_Asked]) -> ConverterSettings:
        settings: ConverterSettings = recipe.settings
        if not recipe.calibrated:
            return settings
        if way.signatures:
            samples: list[Any] = [(o.signature.name, dict(c)) for o in asked for c in o.calls]
        else:
            samples = [list(call.values()) for call in asked[0].calls]
        return replace(settings, representative_dataset=samples)

    # Proving it.

    def _asked(self, way: Way, content: bytes) -> list[_Asked]:
        """Return the signatures of the file, called, with the answers to compare with."""
        found = []
        for number, signature in enumerate(self._signatures(way, content)):
            mine = self.inputs is not None and (
                number == 0 if self.diagnosis.signature is None
                else signature.name == self.diagnosis.signature
            )  # fmt: skip
            try:
                calls = (
                    load_calls(self.inputs, signature) if mine else make_calls(signature, _CALLS)
                )
            except CallsError as error:
                if mine:
                    raise
                raise NotProvenError(f"nothing to compare with: {error}", change=_BRING) from error
            found.append(_Asked(signature, calls, self._answers(signature, calls, content)))
        return found

    def _signatures(self, way: Way, content: bytes) -> list[Signature]:
        called = [
            self.model_format.call_signature(self.graph, name) for name in way.signatures or [None]
        ]
        shown = [signature for signature in called if signature is not None]
        if shown:
            return shown
        if self.model_format.lacks_signature(self.graph):
            return [self._call()]
        made = read_graph(content)
        return [next(iter(made.signatures), made.main_signature)]

    def _call(self) -> Signature:
        """Describe the call of a SavedModel without signatures."""
        from varhandle.savedmodel.resave_tracked import call_of

        record = run_isolated(call_of, self.path, timeout=self.timeout)
        if not record.ok:
            raise NoCureError(f"no safe cure: {record.message}", change=_SIGN)
        inputs, outputs = record.value
        specs = tuple(
            TensorSpec(
                name, dtype, None if shape is None else tuple(None if n < 0 else n for n in shape)
            )
            for name, dtype, shape in inputs
        )
        return Signature(DEFAULT, "", specs, tuple(TensorSpec(n, "", None) for n in outputs))

    def _answers(self, signature: Signature, calls: Calls, content: bytes) -> Any:
        """Return the answers of the original model."""
        record = self._reference(signature, calls, content)
        if record.ok:
            return record.value
        words = record.message.strip().splitlines()
        drawn = record.exception_type == NotRepeatableError.__name__
        raise NotProvenError(
            "no proof: TensorFlow does not answer for the model itself "
            f"({words[0] if words else record.outcome})",
            change=_HAND_IN if drawn else _BRING,
        )

    def _reference(self, signature: Signature, calls: Calls, content: bytes) -> Record:
        from varhandle.evaluate.stateful_parity import own_answers
        from varhandle.savedmodel import checkpoint_freezer, resave_tracked

        if self.model_format.is_converted:
            name = signature.name or None
            return run_isolated(
                own_answers, content, list(calls), name, timeout=self.timeout, tensorflow=False
            )
        if self.model_format.lacks_signature(self.graph):
            return run_isolated(
                resave_tracked.answers_of_call, self.path, calls, timeout=self.timeout
            )
        if self.model_format.needs_checkpoint and self.graph.variables:
            outputs = [spec.name for spec in signature.outputs]
            checkpoint = str(checkpoint_beside(self.diagnosis))
            return run_isolated(
                checkpoint_freezer.restored_answers, self.path, checkpoint, list(calls), outputs,
                timeout=self.timeout,
            )  # fmt: skip
        return reference_answers(self.path, calls, signature.name, self.trust, self.timeout)

    def _on_micro(self, recipe: str | None, way: Way) -> bool:
        """Tell whether to run the file on TensorFlow Lite Micro too: the last one made, if there.

        Its Python package runs the main graph, so it can be asked about one signature only.
        """
        final = recipe == way.quantization
        return self.place.id == "micro" and final and len(way.signatures) < 2 and has_micro()

    def _proven(
        self,
        way: Way,
        content: bytes,
        asked: Sequence[_Asked],
        lifted: Lifted | None,
        recipe: str | None,
    ) -> Parity:
        """Compare every signature with its reference; return the comparison of the first."""
        parities = []
        for one in asked:
            parity = self._compared(way, content, one, lifted, recipe)
            if not parity.passed:
                verdicts = "; ".join(f"{run.kernels}: {run.verdict}" for run in parity.runs)
                how = f"quantized by {recipe}" if recipe else "made"
                raise NoCureError(
                    f"no cure: the file that was {how} does not answer as the model ({verdicts})",
                    self._error(),
                    _not_the_same(way, parity, recipe),
                )
            parities.append(parity)
        return parities[0]

    def _compared(
        self,
        way: Way,
        content: bytes,
        one: _Asked,
        lifted: Lifted | None,
        recipe: str | None,
    ) -> Parity:
        """Compare one signature, as exactly as the dtypes allow in which the model calculates."""
        name = _name_in(content, one.signature)

        def compared(tolerance: float | None) -> Parity:
            return compare_file(
                content, one.calls, one.expected, name, CarriedState.of(lifted, name),
                recipe=recipe, tolerance=tolerance, timeout=self.timeout,
                micro=self._on_micro(recipe, way),
            )  # fmt: skip

        parity = compared(None)
        halves = [TOLERANCES[dtype] for dtype in way.narrow if dtype in TOLERANCES]
        if parity.passed or recipe or not halves:
            return parity
        return compared(max(halves))


def _dtypes(content: bytes) -> list[int]:
    """Return the dtypes of all tensors of a file, sorted; the bytes also tell how it was made."""
    model = unpack(content, "the file that was made")
    return sorted(tensor.type for part in model.subgraphs for tensor in part.tensors)


def _name_in(content: bytes, signature: Signature) -> str | None:
    """Return the name of a signature in a file, which may have made one up, or have none."""
    held = [own.name for own in read_graph(content).signatures]
    return signature.name if signature.name in held else next(iter(held), None)


_ANOTHER_UPDATE = (
    "Write this step of the model in another way: assign whole values of a shape that is known, of "
    "a dtype that variables can have (float32, int32, int64, bool), by ops that have builtins."
)
_OTHER_BUILTINS = (
    "Write what is named with ops that have builtins, or leave it to the program around the model."
)
_BRING = "Bring inputs of your own, an array for each input: --inputs FILE.npz."
_HAND_IN = (
    "Make what is drawn at random an input of the model; or convert it without a proof, with "
    "tf.lite.TFLiteConverter itself."
)
_SIGN = "Save the model with signatures: tf.saved_model.save(module, path, signatures=…)."
_OTHER_OPS = "Write the model with ops that this runtime has, or take a later one."
_OTHER_RECIPE = (
    "Take another recipe, or bring inputs as the model will meet them to calibrate with."
)


def _not_the_same(way: Way, parity: Parity, recipe: str | None) -> str:
    """Say what to change where a file does not answer as the model."""
    if recipe:
        return _OTHER_RECIPE
    refused = [run.kernels for run in parity.runs if run.refusal]
    if refused == [MICRO]:
        return _OTHER_OPS
    return _ANOTHER_UPDATE if {"recast", "whole"} & set(way.steps) else ""
