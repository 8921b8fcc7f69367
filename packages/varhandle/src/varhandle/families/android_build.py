"""An Android build that stops at the packages of TFLite or LiteRT."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Pattern

_LIBRARY = r"(?P<name>libtensorflowlite\w{0,30}\.so|liblitert\w{0,40}\.so|libtask_\w{1,20}_jni\.so)"


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("android-missing-class"):
        name = line.get("name").replace("/", ".")
        message = f"A package of the app names the class {name}, and no package brings it."
        yield FAMILY.in_log(178, line, message, _MISSING)
    for line in index.of("android-page-size"):
        message = f"{line.get('name')} is of a release whose libraries are laid out for 4 KB pages."
        yield FAMILY.in_log(178, line, message, _PAGES)


_MISSING = (
    "The classes of the GPU delegate's options lie in a package of their own: beside"
    " com.google.ai.edge.litert:litert-gpu, depend on com.google.ai.edge.litert:litert-gpu-api of"
    " the same release (org.tensorflow:tensorflow-lite-gpu-api beside tensorflow-lite-gpu). An app"
    " without the GPU takes the line that names GpuDelegate out. No variable is at fault."
)
_PAGES = (
    "Take a newer release: com.google.ai.edge.litert:litert has 64-bit libraries for 16 KB pages"
    " since 1.4.0; those of org.tensorflow up to 2.17, and the Task Library up to 0.4.4, have none."
    " Then clean the build, which may still hold the old library. An app that keeps the old"
    " package runs on devices with 4 KB pages only. No variable is at fault."
)

FAMILY = Family(
    id="android-build",
    order=250,
    what="An Android app with TFLite or LiteRT does not build, or not for every device.",
    cause="tensorflow-lite and litert have the same classes; some packages need a second one.",
    fix=(
        "Depend on one of the two, com.google.ai.edge.litert:litert or org.tensorflow:"
        "tensorflow-lite, with all of its packages in one release; where a library brings the other"
        " along, exclude that group in Gradle. No variable is at fault."
    ),
    log_patterns=(
        Pattern("android-twice", "Duplicate class org.tensorflow.lite."),
        Pattern("android-twice", "Namespace 'org.tensorflow.lite"),
        Pattern("android-twice", "Multiple dex files define Lorg/tensorflow/lite"),
        Pattern(
            "android-missing-class",
            "R8: Missing class",
            after=r"(?P<name>org\.tensorflow\.[\w.$]{1,90})\(",
        ),
        Pattern(
            "android-missing-class",
            "Failed resolution of: L",
            after=r"(?P<name>org/tensorflow/lite/[\w/$]{1,90});",
        ),
        Pattern(
            "android-page-size",
            "LOAD segments not aligned at 16 KB boundaries",
            after=rf"[^\n]{{0,300}}?{_LIBRARY}",
        ),
        Pattern(
            "android-page-size",
            "that do not support 16 KB",
            after=rf"[^\n]{{0,300}}?{_LIBRARY}",
        ),
        Pattern(
            "android-page-size",
            "UNALIGNED",
            rf"{_LIBRARY}:\W{{0,4}}\[?\d{{0,2}}m?$",
            after=r".{0,8}\(2\*\*12\)",
        ),
    ),
    log_meanings={
        "android-twice": Meaning(
            178, "Two packages of the app bring the same classes of TFLite or LiteRT."
        ),
    },
    log_rule=_in_log,
    of_variables=False,
)
