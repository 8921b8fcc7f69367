"""Where a .tflite file is to run, and what that place cannot take.

A *target* is a kind of runtime. What each can do is what ``TARGETS`` says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A kind of runtime.

    Attributes:
        id: What a user writes, such as ``"litert"``.
        name: What it is, in words.
        resource_variables: Whether it has ``VAR_HANDLE`` and the other ops on variables.
        flex: Whether it runs Select-TensorFlow (Flex) ops.
    """

    id: str
    name: str
    resource_variables: bool
    flex: bool
