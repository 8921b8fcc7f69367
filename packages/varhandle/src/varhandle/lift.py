"""Lift: write a .tflite file whose caller carries its state, with the first state beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from varhandle.errors import CHECK_PATH, system_fault
from varhandle.formats.regular_file import read_regular
from varhandle.graph import ModelFileError
from varhandle.tflite.externalize_state import Lifted, lift_state
from varhandle.tflite.state_files import check_target, write_with_state


class LiftedFile(NamedTuple):
    """What :func:`lift_file` made: the result, the .tflite file and the file of the state."""

    lifted: Lifted
    model: Path
    state: Path
    source: Path

    def text(self) -> str:
        """Return what became of the state, and what was written."""
        wrote = f"wrote {self.model}, and the state before the first call to {self.state}"
        return f"{self.lifted.text()}\n{wrote}"

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON; the values are in the file of the state."""
        return {
            "model": str(self.source),
            "file": str(self.model),
            "state_file": str(self.state),
            **self.lifted.as_dict(),
        }


def lift_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> LiftedFile:
    """Lift the state of a .tflite file, and write the new one with its first state beside it.

    The state goes into a file of the same name that ends in ``.state.npz``, as ``numpy.load``
    reads it.

    Raises:
        ModelFileError: ``source`` cannot be read or is no sound .tflite file; ``target``, or the
            file of the state, is ``source`` or cannot be written.
        CannotLiftError: As :func:`~varhandle.tflite.externalize_state.lift_state`.
    """
    source, target = Path(source), Path(target)
    try:
        content = read_regular(source)
    except OSError as error:
        fault = f"cannot be read: {system_fault(error, CHECK_PATH)}"
        raise ModelFileError(source, fault) from error
    except ValueError as error:  # a name that no file can have
        raise ModelFileError(source, f"cannot be read: {error}: {CHECK_PATH}") from error
    check_target(target, source)
    try:
        lifted = lift_state(content)
    except ModelFileError as error:
        raise ModelFileError(source, error.fault) from error
    state = write_with_state(target, lifted.content, lifted.initial_state)
    return LiftedFile(lifted, target, state, source)
