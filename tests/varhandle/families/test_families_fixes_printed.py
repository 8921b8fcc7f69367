"""Every fix of a finding, run as it is printed, on the model that it is printed for.

What stands in a fix is code, or a command, or both; it is run in an empty folder with nothing but
what the fix says. Where a fix is a change of the program that made the model, that program is
around it in the test that ``printed_code.json`` names.
"""

import re
import subprocess
import sys

import numpy as np
import printed_code
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import run, run_command

from varhandle.families.catalog import find
from varhandle.formats import read_graph

COMMAND = re.compile(r"^(?:# )?(varhandle .+)$", re.MULTILINE)

ALONE = {
    ("counter", "constant-folding-failed"),
    ("int64_state", "not-immutable"),
    ("batch_norm_in_training", "not-immutable"),
    ("read_in_a_branch", "freezer-lost-variable"),
    ("counter_of_two_signatures", "shared-or-dynamic-state"),
    ("trainer_and_server", "shared-or-dynamic-state"),
    ("trainer_and_server", "unsupported-variable-update"),
    ("relu_of_a_product_that_changes", "lost-activation"),
}
"""Specimen and family whose fix is the whole program, which leaves ``model.tflite``."""


def fixes(path, family):
    return list(dict.fromkeys(f.fix for f in find(read_graph(path)) if f.id == family))


def shown():
    return sorted(
        (name, family)
        for name, one in zoo.ZOO.items()
        for family in (*one.families, *one.infos)
        if one.seen
    )


def test_every_piece_of_printed_code_is_run():
    """Each has a test; none is kept that is gone."""
    assert not printed_code.missing(), "run it in a test, and that with RECORD_PRINTED=1"
    held = {(name, piece) for name, mine in printed_code.registry().items() for piece in mine}
    assert held == {(name, p) for name, mine in printed_code.pieces().items() for p in mine}


def test_the_tests_that_run_it_are_there():
    tests = {test for mine in printed_code.registry().values() for test in mine.values()}
    files = sorted({test.partition("::")[0] for test in tests})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *files],
        cwd=printed_code.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests <= set(done.stdout.split("\n")), done.stderr


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Name it so.\n\nm.export(folder)\nall = 1", ["m.export(folder)\nall = 1"]),
        ("an old file (other2tf -i {path} -o out), or none", ["other2tf -i {path} -o out"]),
        ("it needs Dask: pip install 'dask<9'", ["pip install 'dask<9'"]),
        ("say --trust, where", ["--trust"]),
        ("# or later:\n# tf.cast(x, tf.int32)", ["tf.cast(x, tf.int32)"]),
        ("call tf.cast(x, tf.int32), then go on", ["tf.cast(x, tf.int32)"]),
        ("resolver.AddCast();", ["resolver.AddCast();"]),
        ("Select TensorFlow op(s), of allocate_tensors()", []),
        ("varhandle cure m model.tflite --signature s", None),
    ],
)
def test_code_is_seen_in_what_is_printed(text, pieces):
    assert list(printed_code.pieces_of(text)) == ([text] if pieces is None else pieces)


def test_a_comment_was_not_run():
    printed_code.ran("# model.export(folder)\nx = 1")
    assert not printed_code.is_in("model.export(folder)", printed_code._texts[-1])
    assert printed_code.is_in("x = …", printed_code._texts[-1])
    assert not printed_code.is_in("y = 1", printed_code._texts[-1])


@pytest.mark.parametrize("printed", sorted(ALONE), ids=str)
def test_a_program_gives_the_file(tf, specimen_path, tmp_path, monkeypatch, printed):
    monkeypatch.chdir(tmp_path)
    name, family = printed
    path = specimen_path(name)
    for fix in fixes(path, family):
        run(fix)
        for signature in Interpreter("model.tflite").get_signature_list():
            function = tf.saved_model.load(str(path)).signatures[signature]
            runner = Interpreter("model.tflite").get_signature_runner(signature)
            for call in range(3):
                given = {
                    name: np.full(spec.shape, call - 0.5, spec.dtype.as_numpy_dtype)
                    for name, spec in function.structured_input_signature[1].items()
                }
                wanted = function(**{name: tf.constant(value) for name, value in given.items()})
                for output, value in runner(**given).items():
                    np.testing.assert_allclose(value, wanted[output], rtol=1e-5, atol=1e-5)


COMMANDS = [
    # specimen, family, exit code
    ("float16_state", "unsupported-variable-dtype", 0),
    ("slice_assign", "unsupported-variable-update", 0),
    ("gathers_from_a_table_that_changes", "gather-from-frozen-table", 0),
    ("keras_saved", "keras3-export", 0),
    ("numbers_in_a_table", "other-resource", 0),
    ("draws_with_a_seed", "random-draws", 3),
    ("unfrozen_graph_with_a_saver", "unfrozen-graph", 0),
    ("relu_of_a_product_that_changes", "lost-activation", 0),
    ("counter", "runtime-too-old", 0),
    ("counter_tflite", "runtime-too-old", 0),
    ("int8_counter_tflite", "quantised-state", 0),
]


def test_every_kind_of_command_is_run(specimen_path):
    """A family that prints a command for a model of the zoo has one of them among ``COMMANDS``."""
    printing = {
        family
        for name, family in shown()
        for fix in fixes(specimen_path(name), family)
        if COMMAND.search(fix)
    }
    assert printing == {family for _, family, _ in COMMANDS} - {"quantised-state"}


@pytest.mark.parametrize("printed", COMMANDS, ids=str)
def test_a_command_makes_the_file(specimen_path, tmp_path, monkeypatch, capsys, printed):
    monkeypatch.chdir(tmp_path)
    name, family, code = printed
    (command,) = {
        line for fix in fixes(specimen_path(name), family) for line in COMMAND.findall(fix)
    }
    assert run_command(command) == code, capsys.readouterr()
    (file,) = tmp_path.glob("*.tflite")
    Interpreter(str(file)).allocate_tensors()
