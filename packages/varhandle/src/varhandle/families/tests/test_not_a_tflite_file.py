"""Bytes that are no .tflite file, or not one of this schema."""

import pytest
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("not-a-tflite-file")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Model provided is schema version 1212238920 not equal to supported version 3.",
        "Model provided has model identifier 'CTYP', should be 'TFL3'",
        "Model provided must have at least 7 bytes to hold identifier.",
        "ValueError: The model is not a valid Flatbuffer buffer",
        "java.lang.IllegalArgumentException: ByteBuffer is not a valid flatbuffer model",
        "E/flutter: Unhandled Exception: Invalid argument(s): Unable to create model.",
        "Failed to create the interpreter with error: Failed to load the given model.",
        "java.lang.IllegalArgumentException: ByteBuffer is not a valid TensorFlow Lite model"
        " flatbuffer",
        "Contents of /data/m.tflite does not encode a valid TensorFlow Lite model: empty",
        "ValueError: Could not open '/tmp/model/nope.tflite'.The model allocation is null/empty",
        "ValueError: Mmap of '4' at offset '0' failed with error '22'.",
        "CompiledModel.from_file(path)\nRuntimeError: Failed to load model from file",
        "java.io.FileNotFoundException: This file can not be opened as a file descriptor; it is"
        " probably compressed\n at org.tensorflow.lite.examples.Classifier.loadModelFile",
    ],
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"<html>\n<head>", "web page"),
        (b"<html><head>", "web page"),
        (b'<html lang="en">', "web page"),
        (b'<?xml version="1.0"?><Error>', "web page"),
        (b"PK\x03\x04\x14\x00\x00\x00", "is no .tflite file."),
    ],
)
def test_what_the_file_is_instead(content, word):
    """The four characters are those of the file, as the runtime prints them."""
    identifier = content[4:8].decode("latin-1")
    log = f"Model provided has model identifier '{identifier}', should be 'TFL3'"
    assert word in explain(log).matches[0].message


def test_what_stands_in_the_place_of_the_version_is_told():
    log = "Model provided is schema version 1212238920 not equal to supported version 3."
    assert "version, 3, stands 1212238920: the pointer" in explain(log).matches[0].message


def test_where_there_is_no_file_nothing_is_said_of_its_bytes(tmp_path, capsys):
    from ai_edge_litert.interpreter import Interpreter

    path = str(tmp_path / "nope.tflite")
    with pytest.raises(ValueError, match="Could not open") as refused:
        Interpreter(path)
    (seen,) = explain(str(refused.value)).matches
    assert seen.message == f"There is no file at {path} that the program may open."
    run(code_of(seen.fix), path=path)
    assert capsys.readouterr().out.splitlines()[-1] == f"{path} False"


def test_other_programs_open_files_too():
    assert ids("Could not open 'weights.bin'\nFailed to load model from registry") == []


def test_the_fix_of_a_log_runs(tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3 and more")
    run(code_of(FAMILY.fix), path=path)
    assert "TFL3" in capsys.readouterr().out
