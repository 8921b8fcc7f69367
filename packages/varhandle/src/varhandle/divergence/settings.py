"""The one setting that decides whether a .tflite file answers as its model.

Each try is a run, or a conversion and a run, in a child process. The settings of the run come
first, because they cost least: the kernels, the number of threads. Then the model is converted
anew: without an optimization, without quantization, with each recipe, and with a layer left in
float. Other releases, which uv installs, come last, and only where they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from varhandle.conversion.converter import convert
from varhandle.conversion.quantization import quantize_file
from varhandle.conversion.quantization_debugger import QuantizationError
from varhandle.display import Rich, panel_html, printable, table_html, table_text
from varhandle.divergence.location import CannotLocateError, file_content
from varhandle.divergence.other_releases import (
    OtherRelease,
    OtherReleases,
    installed_release,
    parse_other_releases,
)
from varhandle.divergence.walk import compare_ops, named_for
from varhandle.evaluate.given_inputs import Inputs
from varhandle.evaluate.parity import DELEGATES, PLAIN, Answer, answer_call, compare_run
from varhandle.evaluate.proof import converter_words, reference_calls, rests_on
from varhandle.evaluate.reference import ask_model, loader_of
from varhandle.evaluate.session import Session
from varhandle.evaluate.stateful_parity import compare_by_range
from varhandle.extras import require
from varhandle.facts.recipes import RECIPES, Recipe, requested_recipe
from varhandle.families import clamped_infinity, lost_activation
from varhandle.families.base import inference_signature
from varhandle.families.code import SEE_DIAGNOSIS, SEE_WHY
from varhandle.formats import format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.custom_code import check_imports
from varhandle.matrix.environments import NotInstalledError
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.lock import locking
from varhandle.sandbox.record import short_message

_THREADS = (2, 4)
_SINGLE = 6
"""Layers that are left in float one at a time, the one that adds most error first."""

_OPTIMIZATIONS: Mapping[str, Mapping[str, Any]] = {
    lost_activation.SETTING: {"unfold_batchmatmul": True},
    clamped_infinity.SETTING: {"keep_infinities": True},
}
"""What the converter does unasked, beside quantizing, and how to leave it."""

_CASTS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class Try:
    """One setting that was tried; all others are as in the first try."""

    setting: str
    value: str
    verdict: str  # "agrees", "parts", "refuses", "no file" or "not installed"
    detail: str


@dataclass(frozen=True, repr=False)
class SettingsBisection(Rich):
    """Which setting decides whether a file answers as its model.

    Attributes:
        tries: What was tried; the first is the file as it was given or asked for.
        flips: The try whose verdict is another than the first one's; ``None`` if there is none.
        why: What follows, in a sentence.
        basis: What the inputs rest on, in one line.
    """

    model: str
    file: str | None
    tries: tuple[Try, ...]
    flips: Try | None
    why: str
    basis: str

    @property
    def agrees(self) -> bool:
        """Whether the file answers as the model, whatever the setting."""
        return self.flips is None and self.tries[0].verdict == "agrees"

    def _headline(self) -> str:
        if self.flips is not None:
            return f"the setting that flips it: {self.flips.setting}, {self.why}"
        return self.why

    def __repr__(self) -> str:
        return f"SettingsBisection({self._headline()})"

    def _table(self) -> tuple[Sequence[str], list[Sequence[object]]]:
        rows: list[Sequence[object]] = [
            (one.setting, printable(one.value, None), one.verdict, printable(one.detail, None))
            for one in self.tries
        ]
        return ("setting", "tried", "verdict", ""), rows

    def text(self) -> str:
        """Return the setting, and a table of what was tried."""
        return f"{self._headline()}\n\n{table_text(*self._table())}\n\ncompared on {self.basis}"

    def html(self) -> str:
        """Return the same as a panel."""
        tone = "right" if self.agrees else "wrong"
        return panel_html(tone, self._headline(), table_html(*self._table(), "What was tried"))

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        return {
            "model": self.model,
            "file": self.file,
            "agrees": self.agrees,
            "flips": None if self.flips is None else asdict(self.flips),
            "why": printable(self.why, None),
            "tries": [asdict(one) for one in self.tries],
            "inputs": self.basis,
        }


def bisect_settings(
    model: str | os.PathLike[str],
    file: str | os.PathLike[str] | bytes | None = None,
    *,
    quantization: str | None = None,
    releases: Sequence[str] | None = None,
    signature: str | None = None,
    inputs: Inputs | None = None,
    calls: int | None = None,
    trust: bool = False,
    lock: bool = True,
    timeout: float = 300.0,
    imports: Sequence[str | os.PathLike[str]] = (),
) -> SettingsBisection:
    """Find the setting that decides whether a .tflite file answers as its model.

    Args:
        model: The model, of any format that is converted.
        file: The .tflite file; ``None`` to convert the model.
        quantization: Name of the recipe that the file is, or was, quantized with.
        releases: Other releases to convert and to run with, such as ``"tensorflow==2.19.1"`` and
            ``"ai-edge-litert==1.4.0"``, where nothing else flips the verdict; without any in the
            list, the latest that were measured. uv installs each, up to 600 MB. None if ``None``.
        signature: As ``locate`` takes it, and all that follow.
        inputs: The same.
        calls: The same.
        trust: The same.
        lock: The same.
        timeout: Seconds that each try may take.
        imports: The same.

    Raises:
        UnknownRecipeError: There is no such recipe (a ``ValueError``).
        UnknownReleaseError: What is no release (a ``ValueError``).
        CannotLocateError: There is no file, or the model gives no answers to compare with.
    """
    own_code = check_imports(imports)
    recipe = requested_recipe(quantization)
    wanted = () if releases is None else parse_other_releases(releases)
    graph = read_graph(model)
    if format_of(graph).is_converted:
        raise CannotLocateError("it is a .tflite file: give the model that it was made from first")
    require("tensorflow", "comparing a file with its model")
    chosen = inference_signature(graph, signature)
    load = loader_of(graph, chosen, trust, own_code)
    with locking(lock):
        keys = None if chosen is None else [chosen]

        def converted(
            name: str | None, samples: Sequence[Any], **options: Any
        ) -> tuple[bytes | None, str]:
            settings = replace(RECIPES[name or "float32"].settings, **options)
            if name and RECIPES[name].calibrated:
                settings = replace(settings, representative_dataset=samples)
            made = convert(
                graph,
                settings=settings,
                signature_keys=keys,
                trust=trust,
                timeout=timeout,
                imports=own_code,
            )
            return made.content, "" if made.content else converter_words(made.record)

        given = None if file is None else file_content(file)
        plain, refusal = converted(None, ())
        known = given if plain is None else plain
        if known is None:
            raise CannotLocateError(f"there is no file to compare: {refusal}; {SEE_WHY}")
        made = read_graph(known)
        called = format_of(graph).call_signature(graph, chosen)
        called = called or next(iter(made.signatures), made.main_signature)
        (asked,) = reference_calls(graph, [called], known, inputs=inputs, at_least=calls or 0)
        if not asked.calls:
            raise CannotLocateError(f"{asked.refusal} (give them by --inputs)")
        answered = ask_model(load, asked.calls, chosen, timeout=timeout)
        if not answered.ok:
            raise CannotLocateError(
                f"the model gives no answers: {short_message(answered.message)}: {SEE_DIAGNOSIS}"
            )
        bisection = _Bisection(
            [dict(call) for call in asked.calls][: len(answered.value.answers)],
            answered.value.answers,
            converted,
            plain,
            timeout,
        )
        bisection.sides = {"load": load, "signature": chosen, "reads": load.reads}
        flips, why = bisection.run(given, recipe)
        if flips is None and wanted:
            opened = ModelSource(
                format_of(graph).path_to_load(graph.source), None, (), trust, own_code
            )
            others = OtherReleases(graph, opened, keys or (), timeout)
            flips, why = bisection.try_releases(others, wanted, recipe, why)
        elif flips is None and bisection.tries[0].verdict != "agrees":
            why = f"{why}; --releases tries those of TensorFlow and LiteRT"
    source = None if file is None or isinstance(file, bytes) else os.fspath(file)
    return SettingsBisection(
        os.fspath(model), source, tuple(bisection.tries), flips, why, rests_on([asked])
    )


class _Bisection:
    """The tries, one after the other, until one flips the verdict."""

    def __init__(
        self,
        calls: list[dict[str, Any]],
        expected: list[dict[str, Any]],
        converted: Any,
        plain: bytes | None,
        timeout: float,
    ) -> None:
        self._calls, self._expected = calls, expected
        self._converted, self._plain, self._timeout = converted, plain, timeout
        self.sides: dict[str, Any] = {}
        self.tries: list[Try] = []
        self._labels: dict[str, str] = {}  # of tensors, what the model calls them

    def run(self, given: bytes | None, recipe: str | None) -> tuple[Try | None, str]:
        """Return the try that flips the verdict, and what follows."""
        samples = [list(call.values()) for call in self._calls]
        content, refusal = (given, "") if given else self._converted(recipe, samples)
        if content is None:
            raise CannotLocateError(f"there is no file to compare: {refusal}; {SEE_WHY}")
        self._content = content
        first = self._try("kernels", DELEGATES, content, recipe)
        flipping = [
            self._try("kernels", PLAIN, content, recipe, kernels=PLAIN),
            *(self._try("threads", str(n), content, recipe, threads=n) for n in _THREADS),
        ]
        flips = next((one for one in flipping if _flips(first, one)), None)
        if flips is not None:
            usual = DELEGATES if flips.setting == "kernels" else "the usual number"
            return flips, f"with {flips.value} it {flips.verdict}, with {usual} it {first.verdict}"
        if first.verdict == "agrees":
            return None, "nothing to flip: the file agrees with every setting of its run"
        if given is not None:
            anew = self._anew(recipe, samples)
            if anew.verdict == "agrees":
                how = "by this converter" + (f" with {recipe}" if recipe else "")
                return anew, f"made anew {how} it agrees: the file was made otherwise, or damaged"
        for name, options in _OPTIMIZATIONS.items():
            setting = name.removeprefix("converter.")
            made = self._converted(recipe, samples, **options)
            one = self._try("optimization", setting, made[0], recipe, made[1])
            if one.verdict == "agrees":
                return one, f"with {setting} it agrees, without it {first.verdict}"
        return self._quantization(recipe, samples)

    def try_releases(
        self,
        others: OtherReleases,
        releases: Sequence[OtherRelease],
        recipe: str | None,
        why: str,
    ) -> tuple[Try | None, str]:
        """Return the release that flips the verdict, and what follows."""
        for release in releases:
            setting = "converter" if release.converts else "runtime"
            try:
                if release.converts:
                    one = self._converted_by(others, release, recipe)
                else:
                    record = self._answers_by(others, release)
                    one = self._judge(setting, str(release), record, recipe)
            except NotInstalledError as error:
                self.tries.append(Try(setting, str(release), "not installed", str(error)))
                continue
            if _flips(self.tries[0], one):
                how = "converted" if release.converts else "run"
                words = "there is no file" if one.verdict == "no file" else f"it {one.verdict}"
                here = f"by {installed_release(release.package)} it {self.tries[0].verdict}"
                return one, f"{how} by {release} {words}, {here}"
        return None, why

    def _converted_by(
        self, others: OtherReleases, release: OtherRelease, recipe: str | None
    ) -> Try:
        chosen = RECIPES[recipe or "float32"]
        samples = [list(call.values()) for call in self._calls] if chosen.calibrated else []
        record = others.convert(release, chosen.settings, samples)
        refusal = "" if record.ok else converter_words(record)
        return self._try("converter", str(release), record.value, recipe, refusal)

    def _answers_by(self, others: OtherReleases, release: OtherRelease) -> Record:
        made = read_graph(self._content)
        held = {one.name: one for one in made.signatures}
        name = self.sides["signature"]
        name = name if name in held else next(iter(held), None)
        called = made.main_signature if name is None else held[name]
        inputs = [spec.name for spec in called.inputs]
        calls = [named_for(inputs, call) for call in self._calls]
        return others.answers(release, self._content, name, calls)

    def _anew(self, recipe: str | None, samples: Sequence[Any]) -> Try:
        if recipe is None and self._plain:
            return self._try("converted anew", "without quantization", self._plain, None)
        content, refusal = self._converted(recipe, samples)
        return self._try("converted anew", str(recipe), content, recipe, refusal)

    def _quantization(self, recipe: str | None, samples: Sequence[Any]) -> tuple[Try | None, str]:
        if recipe is None:
            return self._other_recipes(None, samples)
        whole = self._try("recipe", "float32", self._plain, None, "the converter refuses it")
        if whole.verdict != "agrees":
            return None, "no setting flips it: without quantization it does not agree either"
        flips, why = self._other_recipes(recipe, samples)
        layer = self._layers(RECIPES[recipe])
        if layer is not None:
            return layer, f"{layer.value}, the rest by {recipe}: it agrees"
        return flips or whole, why if flips else f"with {recipe} it parts, without it agrees"

    def _other_recipes(self, recipe: str | None, samples: Sequence[Any]) -> tuple[Try | None, str]:
        agreeing = []
        for name, other in RECIPES.items():
            if name in ("float32", recipe) or other.selective:
                continue
            content, refusal = self._converted(name, samples)
            one = self._try("recipe", name, content, name, refusal)
            agreeing += [one] if one.verdict == "agrees" else []
        if not agreeing:
            return None, "no setting flips it, of those that can be tried here"
        names = ", ".join(one.value for one in agreeing)
        return agreeing[0], f"with {names} it agrees, with {recipe or 'float32'} it parts"

    def _try(
        self,
        setting: str,
        value: str,
        content: bytes | None,
        recipe: str | None,
        refusal: str = "",
        *,
        kernels: str = DELEGATES,
        threads: int | None = None,
    ) -> Try:
        if content is None:
            self.tries.append(Try(setting, value, "no file", refusal))
            return self.tries[-1]
        record = run_isolated(
            *(_answers, content, self._calls, self.sides["signature"], kernels, threads),
            timeout=self._timeout,
            tensorflow=False,
        )
        return self._judge(setting, value, record, recipe, kernels)

    def _judge(
        self,
        setting: str,
        value: str,
        record: Record,
        recipe: str | None,
        kernels: str = DELEGATES,
    ) -> Try:
        """Compare what a run answered with the model's own answers."""
        run = compare_run(kernels, record, self._expected, None)
        if recipe is not None:
            names = [None] * len(self._expected)
            run = compare_by_range(run, record, self._expected, names, RECIPES[recipe])
        agrees = not run.refusal and run.agreeing == run.calls
        detail = run.refusal or run.verdict
        if not agrees and not run.refusal:
            largest = [f"largest difference {run.largest_difference:.3g}"]
            largest = largest if run.largest_difference else []  # or no number parts
            detail = ", ".join([detail, *largest, *run.notes])
        verdict = "agrees" if agrees else "refuses" if run.refusal else "parts"
        self.tries.append(Try(setting, value, verdict, detail))
        return self.tries[-1]

    def _layers(self, recipe: Recipe) -> Try | None:
        """Leave layers in float, those that add most error first; return the try that agrees."""
        if not recipe.fits_tflite or self._plain is None:
            return None
        signatures = read_graph(self._plain).signatures
        if len(signatures) != 1:
            return None
        inputs = [spec.name for spec in signatures[0].inputs]
        calls = [named_for(inputs, call) for call in self._calls]
        require("ai_edge_quantizer", "leaving a layer in float")
        bits = recipe.activation_bits

        def quantized(kept: Sequence[str]) -> tuple[bytes | None, str]:
            assert self._plain is not None
            try:
                made = quantize_file(
                    self._plain,
                    {signatures[0].name: calls},
                    activation_bits=bits,
                    float_tensors=kept,
                    timeout=self._timeout,
                )
            except (QuantizationError, ValueError, KeyError) as error:
                return None, str(error)
            return made.content, ""

        def tried(kept: Sequence[str]) -> Try:
            content, refusal = quantized(kept)
            value = f"{', '.join(self._labels[name] for name in kept)} left in float"
            return self._try("layers", value, content, recipe.name, refusal)

        content, refusal = quantized(())
        every = self._try(
            "layers", "ai-edge-quantizer, none in float", content, recipe.name, refusal
        )
        if content is None or every.verdict == "agrees":
            return every if content else None
        ranked = list(dict.fromkeys(self._ranked(content, signatures[0].name)))
        for name in ranked[:_SINGLE]:
            one = tried([name])
            if one.verdict == "agrees":
                return one
        return _fewest(ranked, tried)

    def _ranked(self, content: bytes, signature: str) -> Iterator[str]:
        """Yield the layers of the float file that add most error when they are quantized."""
        sides = {name: self.sides[name] for name in ("load", "signature")}
        record = run_isolated(
            compare_ops,
            **sides,
            calls=self._calls,
            content=content,
            file_signature=signature,
            witness=self._plain,
            timeout=self._timeout,
            reads=self.sides["reads"],
        )
        if not record.ok:
            return
        walked: Mapping[str, Any] = record.value
        shares = {pair["number"]: pair["share"] for pair in walked["pairs"]}
        makers = {op["number"]: op["inputs"] for op in walked["ops"]}
        known = _computed(self._plain or b"")

        def gain(pair: Mapping[str, Any]) -> float:
            """What an op, or the rounding of its weights, adds to the error of its inputs."""
            before = max((shares.get(n, 0.0) for n in makers.get(pair["number"], ())), default=0.0)
            return max(pair["added"] or 0.0, pair["share"] - before)

        for pair in sorted(walked["pairs"], key=gain, reverse=True):
            if pair["op"] not in _CASTS and pair["tensor"] in known:
                self._labels[pair["tensor"]] = pair["node"] or pair["tensor"]
                yield pair["tensor"]


def _computed(content: bytes) -> set[str]:
    from varhandle.tflite.flatbuffer import decode, indices, unpack

    return {
        decode(subgraph.tensors[tensor].name)
        for subgraph in unpack(content).subgraphs
        for operator in subgraph.operators or []
        for tensor in indices(operator.outputs)
    }


def _fewest(ranked: Sequence[str], tried: Callable[[Sequence[str]], Try]) -> Try | None:
    """Return the try with the fewest of the first layers that agrees, by bisection."""
    low, high, best = 1, 2, None
    while best is None and low < len(ranked):
        high = min(high, len(ranked))
        one = tried(ranked[:high])
        if one.verdict == "agrees":
            best = one
        else:
            low, high = high, 2 * high
    while best is not None and high - low > 1:
        middle = (low + high) // 2
        one = tried(ranked[:middle])
        if one.verdict == "agrees":
            best, high = one, middle
        else:
            low = middle
    return best


def _flips(first: Try, other: Try) -> bool:
    return (first.verdict == "agrees") != (other.verdict == "agrees")


def _answers(
    content: bytes,
    calls: Sequence[dict[str, Any]],
    signature: str | None,
    kernels: str,
    threads: int | None,
) -> list[Answer]:
    """Run a file with some settings, in the child process."""
    signatures = [one.name for one in read_graph(content).signatures]
    session = Session(
        content,
        signature=signature if signature in signatures else next(iter(signatures), None),
        delegates=kernels == DELEGATES,
        strict=False,
        threads=threads,
    )
    return [answer_call(session, named_for(list(session.inputs), call)) for call in calls]
