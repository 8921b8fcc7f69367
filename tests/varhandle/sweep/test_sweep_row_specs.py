"""Which rows a sweep has, what their models are called, and what tells one model from another."""

import os
from pathlib import Path

import pytest

from varhandle.sweep.row_specs import (
    RowSpec,
    SweepInputError,
    fingerprint,
    model_names,
    rows_of_list,
    rows_of_models,
)


@pytest.fixture
def models(tmp_path):
    saved = tmp_path / "saved"
    (saved / "variables").mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(b"graph")
    (saved / "variables" / "data").write_bytes(b"values")
    for name in ("b.tflite", "a.keras", "notes.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_inputs_from_a_function_are_named_by_its_file_or_its_module(models, monkeypatch):
    monkeypatch.chdir(models)
    (models / "rows.csv").write_text("model,inputs\na.keras,my.data:calls\na.keras,own.py:calls\n")
    given = [Path("my.data:calls"), Path("own.py:calls")]
    (module,) = rows_of_models([Path("a.keras")], inputs=given[0])
    (file,) = rows_of_models([Path("a.keras")], inputs=given[1])
    assert (module.inputs, file.inputs) == (given[0], models / "own.py:calls")
    assert rows_of_list(models / "rows.csv") == (module, file)


def test_every_model_target_and_quantization_is_a_row(models):
    specs = rows_of_models(
        [models / "b.tflite", models / "a.keras"],
        targets=["litert", "micro"],
        quantizations=[None, "int8"],
        signature="serve",
    )
    assert [(s.model.name, s.target, s.quantization) for s in specs] == [
        (model, target, quantization)
        for model in ("b.tflite", "a.keras")
        for target in ("litert", "micro")
        for quantization in (None, "int8")
    ]
    assert {s.signature for s in specs} == {"serve"}


def test_a_row_is_there_once_and_a_folder_stands_for_the_models_in_it(models):
    path = models / "b.tflite"
    assert rows_of_models([path, path], quantizations=["none", None]) == (RowSpec(path),)
    assert [s.model.name for s in rows_of_models([models])] == ["a.keras", "b.tflite", "saved"]
    assert [s.model.name for s in rows_of_models([models / "saved"])] == ["saved"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("absent", "there is no such file or folder"),
        ("empty", "neither a SavedModel nor a folder with models in it"),
        ("two\nlines", r"two lines: there is no such file"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(models, name, fault):
    with pytest.raises(SweepInputError, match=fault) as held:
        rows_of_models([models / name])
    assert str(held.value).isprintable()


@pytest.mark.parametrize("settings", [{"targets": ["toaster"]}, {"quantizations": ["int3"]}])
def test_a_setting_that_nobody_knows_is_refused(models, settings):
    with pytest.raises(SweepInputError, match=r"toaster|int3"):
        rows_of_models([models / "b.tflite"], **settings)


def test_a_list_in_csv_and_in_json_lines(models):
    path = models / "list.csv"
    path.write_text(
        "model,quantization,inputs,target\n"
        "b.tflite,int8,calls.npz,micro\n"
        '"a.keras",,,\n'
        "b.tflite,none,,\n"
    )
    assert rows_of_list(path, targets=["litert", "builtin-only"], quantizations=["float16"]) == (
        RowSpec(models / "b.tflite", "micro", "int8", None, models / "calls.npz"),
        RowSpec(models / "a.keras", "litert", "float16"),
        RowSpec(models / "a.keras", "builtin-only", "float16"),
        RowSpec(models / "b.tflite", "litert", None),
        RowSpec(models / "b.tflite", "builtin-only", None),
    )
    path = models / "list.jsonl"
    path.write_text('{"model": "b.tflite", "signature": "s"}\n\n{"model": "saved"}\n')
    assert rows_of_list(path) == (
        RowSpec(models / "b.tflite", signature="s"),
        RowSpec(models / "saved"),
    )


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("l.csv", "", "there is no row in it"),
        ("l.csv", "path\nb.tflite\n", "line 2: no such column: path"),
        ("l.csv", "target\nmicro\n", "line 2: model must be text"),
        ("l.csv", "model\nb.tflite,too,many\n", "line 2: no such column: None"),
        ("l.csv", "model\nabsent\n", "absent: there is no such file"),
        ("l.csv", 'model\n"b.tflite\n', "no CSV file"),
        ("l.jsonl", "{", "line 1: no JSON"),
        ("l.jsonl", "[1]", "line 1: no JSON object"),
        ("l.jsonl", '{"model": 3}', "line 1: model must be text"),
        ("l.jsonl", "[" * 100_000, "line 1: no JSON"),
        ("absent.csv", None, "cannot be read: No such file"),
    ],
)
def test_a_list_that_is_none_is_refused(models, name, text, fault):
    if text is not None:
        (models / name).write_text(text)
    with pytest.raises(SweepInputError, match=fault):
        rows_of_list(models / name)


def test_names_are_as_short_as_tells_models_apart():
    paths = [Path(p) for p in ("/x/a/model", "/x/b/model", "/y/b/model", "/y/other")]
    assert list(model_names(paths).values()) == ["a/model", "x/b/model", "y/b/model", "other"]
    assert model_names([Path("/x/a/m"), Path("/x/a/m")]) == {Path("/x/a/m"): "m"}
    assert model_names([Path("/m"), Path("/x/m")]) == {Path("/m"): "//m", Path("/x/m"): "x/m"}


def test_folders_of_rows_are_plain_and_differ(tmp_path):
    specs = [
        RowSpec(tmp_path / "m"),
        RowSpec(tmp_path / "n"),
        RowSpec(tmp_path / "m", target="micro"),
        RowSpec(tmp_path / "m", quantization="int8"),
        RowSpec(tmp_path / "m", signature="s"),
        RowSpec(tmp_path / "m", inputs=tmp_path / "i.npz"),
    ]
    ids = [spec.row_id("<b>/../\x1b{}\n" + "x" * 300) for spec in specs]
    assert len(set(ids)) == len(specs)
    for name in ids:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert len(name) < 200
        assert not name.startswith((".", "-"))


def test_a_fingerprint_knows_the_content(models):
    saved = models / "saved"
    first = fingerprint(saved)
    os.mkfifo(saved / "pipe")  # which is not waited for
    (saved / "circle").symlink_to(saved, target_is_directory=True)
    (saved / "dead").symlink_to("nowhere")
    assert fingerprint(saved) == first
    (saved / "variables" / "data").write_bytes(b"Values")
    second = fingerprint(saved)
    (saved / "assets").write_bytes(b"")
    third = fingerprint(saved)
    (saved / "assets").rename(saved / "other")
    assert len({first, second, third, fingerprint(saved)}) == 4


def test_of_a_large_file_the_time_of_change_counts(models):
    large = models / "large.tflite"
    with large.open("wb") as file:
        file.truncate(65 * 2**20)
    first = fingerprint(large)
    os.utime(large, ns=(1, 1))
    assert fingerprint(large) != first


def test_of_others_every_byte_counts(models):
    prints = set()
    for last in (b"\0", b"\1"):
        (models / "some.tflite").write_bytes(bytes(2**21) + last)
        os.utime(models / "some.tflite", ns=(1, 1))
        prints.add(fingerprint(models / "some.tflite"))
    assert len(prints) == 2
