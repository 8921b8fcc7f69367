"""Lesson 96: TensorFlow Lite Micro."""

from __future__ import annotations

from workbook_lib.lesson.content import Card

FAMILIES = {
    "micro-needs-store": "about-micro",
    "micro-op-not-registered": "about-micro",
    "micro-arena-too-small": "about-micro",
}

CARD = Card(
    symptom="On a chip a stateful file is refused at VAR_HANDLE, or begins with zeros after a "
    "reset.",
    cause="TensorFlow Lite Micro keeps variables in a store that the program creates, and its "
    "reset sets them to zero.",
    cure="lifted = varhandle.lift_state(content)  # or: varhandle lift IN.tflite OUT.tflite\n"
    "state = lifted.start()  # what the program hands in at the first call",
    pages=("micro",),
)
