"""What other releases and runtimes make of a model: held against the measured files themselves."""

import json
from dataclasses import replace

import pytest

from varhandle.facts.data_files import data_file
from varhandle.facts.targets import find_target
from varhandle.families import compatibility
from varhandle.families.base import Reading
from varhandle.families.catalog import find
from varhandle.formats import read_graph
from varhandle.graph import Function, Node
from varhandle.matrix.version_matrix import fails_on, load

MEASURED = [one["version"] for one in load()["versions"] if one.get("installed")]


def short(version):
    return ".".join(version.split(".")[:2])


def releases(text):
    """Write out such a text as ``1.15 to 2.1 and 2.4``: the measured releases that it means."""
    order = [short(version) for version in MEASURED]
    found = set()
    for span in text.replace(" and ", ", ").split(", "):
        first, _, last = span.partition(" to ")
        found.update(order[order.index(first) : order.index(last or first) + 1])
    return found


def failing(family, case):
    (one,) = (c for c in fails_on(family).cases if c.id == case)
    return {short(v) for v in one.versions("error", "refused", "wrong", "crash")}


@pytest.mark.parametrize(
    ("family", "case"),
    [
        ("not-immutable", "float32-state"),
        ("freezer-lost-variable", "cond-read"),
        ("shared-or-dynamic-state", "lstm"),
        ("runtime-too-old", "newer-file"),
    ],
)
def test_a_case_fails_where_the_matrix_says_so(family, case):
    assert releases(compatibility.failing_releases(case)) == failing(family, case)


def test_the_three_answers_to_a_state_are_given_by_all_that_refuse_it(specimen_path):
    told = {f.id: f.message for f in find(read_graph(specimen_path("counter")))}
    families = ("frozen-but-assigned", "not-immutable", "constant-folding-failed")
    meant = []
    for family in families:
        text = told[family].removeprefix("TensorFlow ").split(" answer")[0].split(", and every")[0]
        meant.append(releases(text))
    assert set.union(*meant) == failing("not-immutable", "float32-state")
    assert sum(map(len, meant)) == len(set.union(*meant)), "no release gives two of the answers"
    for family, named in zip(families, meant, strict=True):
        label = told[family].split('"')[1]
        for one in load()["versions"]:
            if one.get("installed") and short(one["version"]) in named:
                assert label in one["results"]["float32-state"]["label"]


def test_what_never_works_works_from_nowhere():
    assert compatibility.works_from("concrete-function-alone") == ""
    assert compatibility.failing_releases("read-only") == ""


def test_a_matrix_of_ones_own(monkeypatch):
    outcomes = ["error", "works", "error", "error", "error", "absent", "works", "works"]
    entries = tuple(
        {"version": f"2.{i}.0", "results": {"c": {"outcome": o, "label": f"{o} {(i + 1) // 4}"}}}
        for i, o in enumerate(outcomes)
    )
    monkeypatch.setattr(compatibility, "measured_releases", lambda: entries)
    assert compatibility.failing_releases("c") == "2.0 and 2.2 to 2.4"
    assert compatibility.failing_releases("c", "error 1") == "2.3 and 2.4"
    assert compatibility.works_from("c") == "2.6"


# Runtimes.


def test_the_runtimes_without_variables_are_those_that_refuse_the_file():
    """By the interpreters' own word: the matrix gave each release a file with variables."""
    said = compatibility.without_variables()
    (last,) = (part.split(" and older")[0] for part in said.split("TensorFlow Lite ")[1:])
    refused = failing("runtime-too-old", "newer-file")
    assert last == max(refused, key=lambda release: [int(part) for part in release.split(".")])
    assert "builtin-only" in said
    measured = json.loads(data_file("runtime_ops.json").read_text())["measured"]
    for release in measured:
        old = [int(p) for p in release.split(".")] <= [int(p) for p in last.split(".")]
        assert find_target(f"tflite-{release}").resource_variables != old


def test_a_file_says_the_oldest_release_that_takes_it(specimen_path):
    graph = read_graph(specimen_path("counter_tflite"))
    said = compatibility.takers(Reading(graph, None))
    assert "the oldest release of TensorFlow Lite with all of its ops is 2.6" in said
    assert "a runtime of builtin ops alone has no ops on variables" in said
    assert "LiteRT" not in said


def test_a_file_that_is_gone_or_in_memory_says_what_its_graph_shows(specimen_path, tmp_path):
    content = specimen_path("counter_tflite").read_bytes()
    gone = tmp_path / "gone.tflite"
    gone.write_bytes(content)
    graphs = [read_graph(gone), read_graph(content)]
    gone.unlink()
    for graph in graphs:
        said = compatibility.takers(Reading(graph, None))
        assert "oldest release" not in said
        assert "no ops on variables" in said
    assert compatibility.takers(Reading(graphs[1], None, content)) == compatibility.takers(
        Reading(read_graph(specimen_path("counter_tflite")), None)
    )


def test_a_file_whose_ops_micro_lacks_is_told(specimen_path):
    """A graph with an op that no runtime has stands for a file of tomorrow."""
    graph = read_graph(specimen_path("int8_leaky_tflite"))
    (info,) = (f for f in find(graph) if f.id == "micro-needs-store")
    assert "does not take" not in info.message
    main = graph.functions[0]
    odd = Function(main.name, (*main.nodes, Node("X#9", "BUILTIN_999")), main.inputs, main.outputs)
    other = replace(graph, functions=(odd, *graph.functions[1:]), source="<bytes>")
    found = {f.id: f.message for f in find(other)}
    assert "Micro does not take the file" in found["micro-needs-store"]
    assert "BUILTIN_999" in found["micro-needs-store"]
    assert "LiteRT does not know the op BUILTIN_999" in found["runtime-too-old"]
