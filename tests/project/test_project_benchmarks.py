"""The page of figures is what the README quotes, and says what it says by arithmetic."""

import re

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.field import measuring
from benchmarks.field.by_hand import difference, run_file
from benchmarks.field.case import GOOD, mended
from benchmarks.field.judge import Grade, Run, find_faults
from benchmarks.frame import Chapter, Row, chapters_of, in_child, in_turns, page
from benchmarks.graphs import FORMS, grown_tflite, saved_model
from benchmarks.reading import running_total
from varhandle.formats import read_graph
from workbook_lib.locations import project_root

ROOT = project_root()
PAGE = (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")
NUMBER = r"([\d.e+-]+)"
RANGE = r"(?:-|[\d.e+-]+ to [\d.e+-]+)"
ROW = re.compile(
    rf"^\| (?!what)(.+?) \| {NUMBER} \| {RANGE} \| (.+?) \| {NUMBER} \| {RANGE} \| {NUMBER} \| ",
    re.M,
)


def test_a_row_has_medians_ranges_and_the_ratio_of_ours_to_theirs():
    row = Row("a", [1.0, 9.0, 3.0], "b", [12.0], "< 4 MB")
    written = page([Chapter("T", "How.", [row], unit="MB").markdown("t")], "a machine")
    assert "| what | MB | min to max | against | MB | min to max | ratio | aim |" in written
    assert "| a | 3 | 1 to 9 | b | 12 | - | 0.25 | < 4 MB |" in written


def test_what_takes_turns_is_called_as_often_and_the_first_call_does_not_count():
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "ab"}
    times = in_turns(calls, 2, calls_a_run=3)
    assert "".join(called) == "ab" + "aaabbb" * 2
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}


def test_a_page_comes_apart_into_what_it_was_made_of():
    rows = [Row("a", [3], "b", [4])]
    chapters = {
        name: Chapter(name.title(), "How.", rows, picture=picture).markdown(name)
        for name, picture in (("first", ""), ("second", "![It rises.](p.png)"))
    }
    whole = page(chapters.values(), "a machine")
    assert chapters_of(whole) == chapters
    assert whole.endswith("\n\n![It rises.](p.png)\n")


def test_every_aim_is_one_that_is_held_to():
    """A row whose aim is worded in another way would be compared with nothing."""
    for line in re.findall(r"^\| (?!what|---).* \|$", PAGE, re.M):
        aim = line.rsplit("|", 2)[1].strip()
        assert re.fullmatch(r"-|(ratio )?< [\d.]+( ms| MB)?", aim), line


@pytest.mark.parametrize("form", FORMS)
def test_the_synthetic_models_are_sound_and_as_large_as_they_say(tf, tmp_path, form):
    from tensorflow.core.protobuf import saved_model_pb2

    folder = saved_model(form, 3000, tmp_path)
    content = (folder / "saved_model.pb").read_bytes()
    meta_graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    graph_def, signature = meta_graph.graph_def, meta_graph.signature_def["serving_default"]
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        (output,) = signature.outputs.values()
        last = graph.get_tensor_by_name(output.name)
    bodies = [function.node_def for function in graph_def.library.function]
    assert sum(map(len, [graph_def.node, *bodies])) == pytest.approx(3000, rel=0.02)
    assert last.op.type == ("AddV2" if form == "one flat graph" else "PartitionedCall")
    variables = read_graph(folder).variables
    assert len(variables) == 300
    assert all(variable.reads and not variable.assigns for variable in variables)


def test_the_huge_file_is_one_that_runs(tmp_path):
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    path = grown_tflite(in_child(running_total), 3_000_000, tmp_path / "large.tflite")
    model = schema.Model.GetRootAs(path.read_bytes())
    assert model.Buffers(model.BuffersLength() - 1).DataLength() == 3_000_000
    assert (path.stat().st_size - 3_000_000) % 16 == 0  # where it begins; the schema says 16
    runner = Interpreter(str(path)).get_signature_runner()
    name = next(iter(runner.get_input_details()))
    for total in (1, 2, 3):
        (answer,) = runner(**{name: np.ones(4, np.float32)}).values()
        assert answer.tolist() == [total] * 4


def test_the_page_holds_every_benchmark_and_its_arithmetic():
    rows = ROW.findall(PAGE)
    assert len(rows) >= 9
    for what, ours, _, theirs, ratio in rows:
        assert float(ours) / float(theirs) == pytest.approx(float(ratio), rel=0.02), what
    for name in command.BENCHMARKS:
        assert f"`python -m benchmarks {name}`" in PAGE


def test_what_was_aimed_at_was_reached():
    for line in PAGE.splitlines():
        aim = re.search(r"\| (ratio < |< )([\d.]+)( ms| MB)? \|$", line)
        if aim:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            reached = float(cells[6]) if aim[1].startswith("ratio") else float(cells[1])
            assert reached < float(aim[2]), line


def test_the_page_of_the_field_counts_what_its_tables_say():
    text = (ROOT / "benchmarks" / "field.md").read_text(encoding="utf-8")
    wrong = re.findall(r"^\| (?!model |---).*\| (.*) \|$", text, re.M)
    right, models = map(int, re.findall(r"\*\*(\d+) of (\d+) are right", text)[0])
    assert (sum(not cell.strip() for cell in wrong), len(wrong)) == (right, models)
    assert models >= 120
    assert f"| wrong in verdict or reason | {models - right} | - | models | {models} |" in PAGE
    assert not re.search(r"/home/|/root|/tmp/", text)


def test_the_page_of_locate_counts_what_its_tables_say():
    text = (ROOT / "benchmarks" / "locate.md").read_text(encoding="utf-8")
    models = re.findall(r"^\| ([\w, -]+) \|" + r" (\d+) \|" * 11 + "$", text, re.M)
    paired, planted, exact = ([int(row[i]) for row in models] for i in (2, 10, 11))
    assert len(models) >= 25
    assert sum(planted) >= 200
    assert all(int(row[2]) == sum(map(int, row[3:8])) <= int(row[1]) for row in models)
    told = re.findall(r"\*\*(\d+) of (\d+) faults are named exactly; (\d+) pairs are wrong", text)
    assert told == [(str(sum(exact)), str(sum(planted)), str(sum(int(row[9]) for row in models)))]
    outputs = sum(int(row[1]) for row in models)
    left = f"| op outputs without a partner | {outputs - sum(paired)} | - | op outputs | {outputs} "
    assert left in PAGE
    assert f"| faults not named exactly | {sum(planted) - sum(exact)} | - |" in PAGE


def _run(exit_code, printed="", warned=""):
    return Run(exit_code, printed, warned, 1.0, 1.0)


_CONVERTIBLE = _run(0, '{"verdict": "convertible", "findings": []}')


@pytest.mark.parametrize(
    ("truth", "diagnosed", "cured", "fault"),
    [
        (GOOD, _CONVERTIBLE, _run(0, "cured: 20 calls"), ""),
        (GOOD, _run(1, '{"verdict": "blocked"}'), _run(0, "cured: "), "verdict blocked, not"),
        (GOOD, _run(3, '{"verdict": "ready"}'), _run(0, "cured: "), "ready with exit 3"),
        (GOOD, _CONVERTIBLE, _run(1, "no safe cure"), "cure exits 1, not 0"),
        (GOOD, _CONVERTIBLE, _run(0, "done"), "does not begin with cured:"),
        (GOOD, _CONVERTIBLE, _run(0, "cured: ", "Traceback (most recent"), "it says Traceback"),
        (mended("batch"), _CONVERTIBLE, _run(0, "cured: the length"), "no reason names batch"),
        (GOOD, _run(2, "", "no model"), _run(0, "cured: "), "verdict refused, not"),
    ],
)
def test_the_judge_of_the_field_sees_what_is_wrong(truth, diagnosed, cured, fault):
    grade = Grade("a", "b", written=True)
    grade.text = diagnosed.printed + cured.printed
    find_faults(grade, vars(truth), diagnosed, cured)
    assert fault in "; ".join(grade.faults)
    assert bool(grade.faults) == bool(fault), grade.faults


def test_the_judge_of_the_field_tells_a_wrong_file_from_a_right_one():
    content = in_child(running_total)
    calls = [("", {"x": np.full(4, step, np.float32)}) for step in (1, 2)]
    found = run_file(content, calls, {})
    right = [[np.full(4, total, np.float32)] for total in (1, 3)]
    assert difference(found, right) == 0
    assert difference(found, [right[0], right[0]]) == 2
    assert difference(found[:1], [[right[0][0][:3]]]) == float("inf")
    assert difference([{"b": 1.0, "a": 2.0}], [[2.0, 1.0]]) == 0  # without names, by their order
    swapped = {"a": np.ones(3), "b": np.zeros(2)}, {"a": np.zeros(2), "b": np.ones(3)}
    assert difference([swapped[0]], [swapped[1]]) == float("inf")


def test_the_rows_of_the_field_are_those_of_its_models():
    seconds = [{"cure": 3.0, "by hand": 2.0}, {"cure": 2.0, "by hand": 2.0}, {"cure": 9.0}]
    grades = [Grade("a", "k", cure_exit=0, difference=0.0, seconds=s, megabytes=s) for s in seconds]
    grades[2].faults, grades[2].wrong_file = ["x"], True
    grades.append(Grade("b", "k", cure_exit=1, seconds=seconds[0], megabytes=seconds[0]))
    wrong, files, whole, ratio, _ = measuring.rows(grades)
    assert (wrong.measured, wrong.against_measured) == ([1], [4])
    assert (files.measured, files.against_measured) == ([1], [3])
    assert whole.measured == [3.0, 2.0]
    assert ratio.measured == [1.5, 1.0]


def test_the_workshop_guide_goes_by_the_page():
    guide = (ROOT / "docs" / "workshop.md").read_text(encoding="utf-8")
    rows = {what: (float(ours), float(theirs)) for what, ours, _, theirs, _ in ROW.findall(PAGE)}
    memory, alone = rows["20 participants: memory for each (GB)"]
    assert f"{memory:.1f} GB for each; one participant alone comes to {alone:.1f} GB" in guide
    (picture,) = re.findall(r"!\[(.+?)\]\(workshop\.png\)", PAGE)
    assert f"![{picture}](../benchmarks/workshop.png)" in guide


def test_the_page_names_no_machine():
    assert not re.search(r"/home/|/root|/tmp/", PAGE)


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [(["nonsense"], "overhead, runtimes"), (["overhead", "--against", "."], "reading, kernels")],
)
def test_an_unknown_benchmark_is_refused(monkeypatch, capsys, arguments, offered):
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as refused:
        command.main()
    assert refused.value.code == 2
    assert f"there are: {offered}" in capsys.readouterr().err
