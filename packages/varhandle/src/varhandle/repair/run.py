"""Cure a model: go the way that was chosen, and prove the file against TensorFlow.

Only the model file is at hand, and not the program that made it. Everything that TensorFlow or an
interpreter does to it happens in child processes. A file that does not answer as TensorFlow does
on the original model, over successive calls, with and without the default delegates, is no cure.
``curing`` does the work, and ``cured`` holds what comes of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_all
from varhandle.diagnosis import Diagnosis, diagnose
from varhandle.extras import require
from varhandle.facts.recipes import needs_calibration, requested_recipe
from varhandle.facts.targets import target as find_target
from varhandle.formats import format_of, read_graph
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError
from varhandle.repair.plan import NoCureError, NotProvenError, choose_way
from varhandle.repair.result import Cured, CuredFile
from varhandle.repair.steps import Work
from varhandle.tflite.state_files import as_npz, state_beside, writing

__all__ = ["Cured", "CuredFile", "NoCureError", "NotProvenError", "choose_way", "cure", "cure_file"]


def cure(
    source: str | os.PathLike[str] | Diagnosis,
    *,
    target: str = "litert",
    quantization: str | None = None,
    signature: str | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    trust: bool = False,
    timeout: float = 300.0,
) -> Cured:
    """Make the .tflite file that a model should have become, and prove it.

    Args:
        source: A SavedModel folder, a ``.keras``, ``.h5``, ``.pb`` (binary GraphDef) or ``.tflite``
            file; or a diagnosis of one.
        target: Where the file is to run, as ``targets.target`` takes it.
        quantization: Name of a recipe of ``device.quantize.RECIPES``; a float file if ``None``.
        signature: The one signature to take; if ``None``, the one for inference, and those that
            share state with it.
        inputs: Inputs of the signature, as ``load_calls`` takes them; made up if ``None``.
        trust: Whether code that the model brings along may run.
        timeout: Seconds that each step may take.

    Returns:
        The file, and the proof.

    Raises:
        NoCureError: There is no safe cure; it says what stands in the way, and what to change.
        ModelFileError: There is no model, or none that can be read.
        NotTrustedError: It brings code along, and is not trusted (a ``ValueError``).
        CallsError: ``inputs`` do not fit (a ``ValueError``).
        ValueError: There is no such target or recipe.
        KeyError: There is no such signature.
    """
    place = find_target(target)
    recipe = requested_recipe(quantization)
    graph = source.graph if isinstance(source, Diagnosis) else read_graph(source)
    if not format_of(graph).is_converted:
        require("tensorflow", "curing what is no .tflite file")
    elif recipe is not None:
        require("ai_edge_quantizer", f"{recipe} of a .tflite file")
    check_trust(graph, trust)
    if not Path(graph.source).exists():
        raise ModelFileError(graph.source, "a model file is wanted, not one in memory")
    diagnosis = source
    if not isinstance(diagnosis, Diagnosis):
        diagnosis = diagnose(
            graph, signature=signature, inputs=inputs, trust=trust, timeout=timeout
        )
    with tempfile.TemporaryDirectory(prefix="cure-") as folder:
        work = Work(diagnosis, place, inputs, trust, timeout, Path(folder))
        way = choose_way(diagnosis, place, quantization, signature=signature)
        if "lift" in way.steps and needs_calibration(recipe):
            require("ai_edge_quantizer", f"{recipe} of a file whose state is an input")
        return work.cured(way)


def cure_file(
    source: str | os.PathLike[str], target_file: str | os.PathLike[str], **options: Any
) -> CuredFile:
    """Cure a model, and write the file, with its first state beside it if that was lifted.

    Args:
        source: The model.
        target_file: The .tflite file to write. The state goes beside it, as ``numpy.load`` reads
            it, into a file of the same name that ends in ``.state.npz``.
        **options: As :func:`cure` takes them.

    Returns:
        The result and the files. Nothing is written unless the cure passed, and then both or none.

    Raises:
        NoCureError: As :func:`cure`.
        ModelFileError: As :func:`cure`; or a file cannot be written, or would replace the model.
    """
    path = Path(target_file)
    kept = [Path(source)]
    if isinstance(options.get("inputs"), (str, os.PathLike)):
        kept.append(Path(options["inputs"]))
    with writing(path):
        state = state_beside(path, *kept)
    cured = cure(source, **options)
    files = {path: cured.content}
    if cured.initial_state:
        files[state] = as_npz(cured.initial_state)
    with writing(path):
        write_all(files)
    return CuredFile(cured, path, state if cured.initial_state else None)
