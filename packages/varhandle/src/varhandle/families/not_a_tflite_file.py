"""Bytes that are no .tflite file, or not one of this schema."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LogDiagnosis, MatchIndex
from varhandle.families.log_patterns import Pattern

_PAGE = "It is a web page: the download went wrong."
_KINDS = {
    "ion": "It is the pointer that Git LFS left in the file's place: run git lfs pull.",
    "ctyp": _PAGE,  # of <!doctype html>
    "l>": _PAGE,  # of <html>
    "lla": _PAGE,  # of <html lang=
    "lve": _PAGE,  # of <?xml version=
}
"""What the characters 5 to 8 of a file begin with, without blanks."""

_LOOK = (
    "A relative path begins in the folder where the program was started, not where its code lies;"
    " a file inside an Android package is an asset, and has no path.\n\n"
    "import os\n"
    "print(os.path.abspath(path), os.path.isfile(path))"
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("no-file"):
        found = line.get("found").lower()
        what = next((what for start, what in _KINDS.items() if found.startswith(start)), "")
        message = f"What the runtime was given is no .tflite file. {what}".strip()
        if line.get("version"):
            message = (
                f"Where a .tflite file has its schema version, 3, stands {line.get('version')}: the"
                " pointer does not point to the start of a file."
            )
        yield FAMILY.in_log(125, line, message)
    for line in index.of("not-there"):
        message = f"There is no file at {line.get('path')} that the program may open."
        yield FAMILY.in_log(124, line, message, _LOOK)


FAMILY = Family(
    id="not-a-tflite-file",
    order=122,
    what="A runtime does not take the bytes for a .tflite file.",
    cause="The path leads elsewhere, the file was cut short or is of another kind.",
    fix=(
        "Look at the file: characters 5 to 8 of a .tflite file are TFL3. On a microcontroller, hand"
        " over the array itself, aligned to 16 bytes and with all of its bytes; on Android, keep"
        " .tflite files uncompressed (androidResources { noCompress += \"tflite\" }).\n\n"
        'print(open(path, "rb").read(8))'
    ),
    log_patterns=(
        Pattern(
            "no-file", "is schema version", r"model(?:provided)?$",
            after=r"(?P<version>-?\d{1,11})(?:isnot|not)(?:equalto)?supported",
        ),
        Pattern(
            "no-file", "Model provided has model identifier",
            after=r"'(?P<found>[^']{0,6})'",
        ),
        Pattern("no-file", "Model provided must have at least 7 bytes to hold identifier"),
        Pattern("no-file", "The model is not a valid Flatbuffer"),
        Pattern("no-file", "is not a valid TensorFlow Lite model"),
        Pattern("no-file", "is not a valid flatbuffer model"),
        Pattern("no-file", "Unable to create model", r"invalidargument\(s\):$"),
        Pattern("no-file", "Failed to load the given model", company=("interpreter", "tflite")),
        Pattern("no-file", "does not encode a valid TensorFlow Lite model"),
        Pattern("no-file", "The model allocation is null/empty"),
        Pattern("no-file", "Mmap of '", after=r"\d{1,9}'atoffset'\d{1,9}'failed"),
        Pattern("not-there", "Could not open '", after=r"(?P<path>[^']{1,200}\.tflite)"),
        Pattern("no-file", "Failed to load model from", company=("compiledmodel",)),
        Pattern(
            "no-file", "can not be opened as a file descriptor; it is probably compressed",
            reach=1500, company=("org.tensorflow", "com.google.ai.edge", ".tflite"),
        ),
    ),
    log_rule=_in_log,
    of_variables=False,
)  # fmt: skip
