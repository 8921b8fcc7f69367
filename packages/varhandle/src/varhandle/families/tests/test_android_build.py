"""An Android build that stops at the packages of TFLite or LiteRT."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("android-build")
MISSING = "org.tensorflow.lite.gpu.GpuDelegateFactory$Options"
NOT_ALIGNED = "Some libraries have LOAD segments not aligned at 16 KB boundaries:\n"

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Duplicate class org.tensorflow.lite.DataType found in modules litert-api-1.2.0.aar ->"
        " jetified-litert-api-1.2.0-runtime (com.google.ai.edge.litert:litert-api:1.2.0) and"
        " tensorflow-lite-api-2.11.0.aar (org.tensorflow:tensorflow-lite-api:2.11.0)",
        "Multiple dex files define Lorg/tensorflow/lite/NativeInterpreterWrapper;",
        "Manifest merger failed : Namespace 'org.tensorflow.lite' is used in multiple modules",
        f"ERROR: R8: Missing class {MISSING} (referenced from: void"
        " org.tensorflow.lite.gpu.GpuDelegate.<init>() and 1 other context)",
        f"java.lang.NoClassDefFoundError: Failed resolution of: L{MISSING.replace('.', '/')};\n"
        "        at org.tensorflow.lite.gpu.GpuDelegate.<init>(GpuDelegate.java:53)",
        f"{NOT_ALIGNED}lib/arm64-v8a/libtensorflowlite_jni.so",
        "Libraries that do not support 16 KB:\nbase/lib/x86_64/libtensorflowlite_gpu_jni.so",
        "x/lib/arm64-v8a/libtensorflowlite_jni.so: \x1b[31mUNALIGNED\x1b[0m (2**12)",
    ],
)


def test_what_is_missing_is_named():
    (match,) = explain(f"ERROR: R8: Missing class {MISSING} (referenced from: x)").matches
    assert MISSING in match.message
    assert "litert-gpu-api" in match.fix
    (match,) = explain(f"{NOT_ALIGNED}lib/arm64-v8a/libtensorflowlite_jni.so").matches
    assert match.message.startswith("libtensorflowlite_jni.so is of a release")


@pytest.mark.parametrize(
    "log",
    [
        "Duplicate class com.google.flatbuffers.Constants found in modules flatbuffers-java",
        "ERROR: R8: Missing class javax.lang.model.SourceVersion (referenced from: x)",
        f"{NOT_ALIGNED}lib/arm64-v8a/libpdfium.so",
        "java.lang.NoClassDefFoundError: Failed resolution of: Lkotlin/Metadata;",
    ],
)
def test_other_packages(log):
    assert ids(log) == []
