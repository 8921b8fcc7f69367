"""A program whose runtime, a native library, is not there or does not load."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("runtime-library-missing")
NO_SYMBOL = "Invalid argument(s): Failed to lookup symbol 'TfLiteInterpreterOptionsCreate': dlsym("

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Invalid argument(s): Failed to load dynamic library 'libtensorflowlite_c.so': dlopen"
        ' failed: library "libtensorflowlite_c.so" not found',
        "java.lang.UnsatisfiedLinkError: No implementation found for long"
        " org.tensorflow.lite.NativeInterpreterWrapper.createErrorReporter(int)",
        "java.lang.UnsatisfiedLinkError: Failed to load native TensorFlow Lite methods.",
        'java.lang.UnsatisfiedLinkError: dlopen failed: library "libtensorflowlite_jni.so" not',
        f"{NO_SYMBOL}RTLD_DEFAULT, TfLiteInterpreterOptionsCreate): symbol not found",
        "Failed to lookup symbol 'TFLGpuDelegateCreate' : undefined symbol: TFLGpuDelegateCreate",
        "ImportError: DLL load failed while importing _pywrap_tensorflow_interpreter_wrapper: The"
        " specified module could not be found.",
        "ModuleNotFoundError: No module named 'tflite_runtime'",
        "ModuleNotFoundError: No module named 'ai_edge_litert.interpreter'",
        "ImportError: DLL load failed while importing _pywrap_litert_interpreter_wrapper: The"
        " specified module could not be found.",
    ],
)


def test_each_has_its_own_step():
    (match,) = explain(NO_SYMBOL).matches
    assert "no function TfLiteInterpreterOptionsCreate" in match.message
    assert "Non-Global Symbols" in match.fix
    (match,) = explain('dlopen failed: library "liblitert_jni.so" not found').matches
    assert (match.message, "abiFilters" in match.fix) == (
        "The program does not find liblitert_jni.so.",
        True,
    )


@pytest.mark.parametrize(
    "log",
    [
        'java.lang.UnsatisfiedLinkError: dlopen failed: library "libopencv_java4.so" not found',
        "ImportError: DLL load failed while importing _pywrap_tensorflow_internal: A dynamic link",
        "Failed to lookup symbol 'sqlite3_open_v2': symbol not found",
    ],
)
def test_other_libraries(log):
    assert ids(log) == []
