"""A program whose runtime, a native library, is not there or does not load."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

_WRAPPERS = (
    "_pywrap_tensorflow_interpreter_wrapper",
    "_pywrap_litert_interpreter_wrapper",
)
_LIBRARY = r"'?(?P<name>lib(?:tensorflowlite|litert)\w{0,40}\.(?:so|dylib))"

FAMILY = Family(
    id="runtime-library-missing",
    order=255,
    what="A program does not find TFLite's or LiteRT's own library, or a function in it.",
    cause="The native library is not in the app, or is of another processor, system or release.",
    fix=(
        "On Android, leave the library in the app: the package litert brings it for each processor,"
        " and abiFilters or a split may leave it out. In Flutter, use a plugin that brings it"
        " (tflite_flutter from 0.10 on, flutter_litert). No variable is at fault, and the .tflite"
        " file has not been read yet."
    ),
    log_patterns=(
        *(
            Pattern("library-not-there", phrase, after=_LIBRARY)
            for phrase in (
                "Failed to load dynamic library '",
                "dlopen failed: library",
                "dlopen failed: cannot locate symbol",
            )
        ),
        Pattern("library-not-there", "Failed to load native TensorFlow Lite methods"),
        Pattern(
            "library-not-there",
            "No implementation found for",
            after=r"\w{1,40}?org\.tensorflow\.lite\.(?P<name>nativeinterpreterwrapper)",
        ),
        Pattern(
            "library-symbol",
            "Failed to lookup symbol '",
            after=r"(?P<name>(?:tflite|tfl|litert)\w{1,60})'",
        ),
        *(
            Pattern("no-package", f"No module named '{name}", after=r"['.]")
            for name in ("tflite_runtime", "ai_edge_litert")
        ),
        *(
            Pattern("library-windows", f"DLL load failed while importing {name}")
            for name in _WRAPPERS
        ),
    ),
    log_meanings={
        "library-not-there": Meaning(
            179, "The program does not find {name:the native library of TFLite}."
        ),
        "library-symbol": Meaning(
            179,
            "The library that the program has loaded has no function {name:of that name}.",
            "On iOS, the release build strips functions that nothing but Dart calls: in Xcode, set"
            " Strip Style of the target Runner to Non-Global Symbols. Where it is a function of a"
            " delegate, the library was built without it: leave the delegate out, or take a build"
            " that has it. No variable is at fault.",
        ),
        "no-package": Meaning(
            179,
            "The runtime's own Python package is not installed, or has no release for this Python.",
            "Install ai-edge-litert, which came after tflite-runtime and has the same Interpreter,"
            " in ai_edge_litert.interpreter. Bound to Python 3.11 or older, or to a 32-bit ARM"
            " board: tflite-runtime 2.14.0, which is the last. No variable is at fault.",
        ),
        "library-windows": Meaning(
            179,
            "Windows does not find a library that the interpreter's own library needs.",
            "Install Microsoft's Visual C++ Redistributable for Visual Studio 2015 to 2022 (x64),"
            " and use a 64-bit Python of a release for which the package has a wheel. No variable"
            " is at fault.",
        ),
    },
    of_variables=False,
)
