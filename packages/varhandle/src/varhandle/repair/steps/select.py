"""Take what is there: a .tflite file as it is, or one signature alone. Nothing has to be done."""

from __future__ import annotations

from typing import Any

from varhandle.repair.steps.base import RepairStep


def _run(_: object) -> None:
    pass


def _code(*_: Any) -> list[str]:
    return []


KEEP = RepairStep("keep", "take the file as it is", "as-it-is", _run, _code)
SIGNATURE = RepairStep("signature", "take one signature only", "take-signature", _run, _code)
