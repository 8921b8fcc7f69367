"""Every fix of a finding, run as it is printed, on the model that it is printed for.

What stands in a fix is code, or a command, or both; it is run in an empty folder with nothing but
what the fix says. Where a fix is a change of the program that made the model, that program is
around it in the test that ``IN_ITS_PROGRAM`` names.
"""

import re

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import run, run_command

from varhandle.families.catalog import find
from varhandle.formats import read_graph

IN_ITS_PROGRAM = {
    # The family, and what of it; a test in families/tests/ or beside this one.
    "frozen-but-assigned": "test_a_model_in_training_is_saved_for_inference",
    "gather-from-frozen-table": "test_a_table_that_changes_is_read_before_it_is_looked_up",
    "freezer-lost-variable": "test_a_graph_with_reads_in_functions_is_saved_where_its_session_is",
    "keras3-export": "test_a_model_is_saved_anew",
    "other-resource": "test_a_table_of_any_dtype_is_two_constants",
    "random-draws": "test_what_is_to_be_written_instead_converts",
    "shared-or-dynamic-state": "test_rows_are_added_to_a_variable_of_fixed_length",
    "tensor-list": "test_it_shows_in_a_graph_and_the_fix_is_for_this_model",
    "unfrozen-graph": "test_a_graph_is_frozen_where_its_session_is",
    "uninitialised-variable": "test_a_variable_is_owned_by_what_is_saved",
    "unsupported-variable-dtype": "test_a_state_in_the_recommended_dtype_converts",
    "unsupported-variable-update": "test_the_slice_assign_of_the_zoo_converts_with_its_fix",
    "flex-variable": "test_a_state_in_the_recommended_dtype_converts",  # it is the same code
    "micro-needs-store": "test_evaluate_micro.py",  # C++
    "quantised-state": "",  # a command
    "runtime-too-old": "",
}
COMMAND = re.compile(r"^(?:# )?(varhandle .+)$", re.MULTILINE)

ALONE = {
    ("counter", "constant-folding-failed"),
    ("int64_state", "not-immutable"),
    ("batch_norm_in_training", "not-immutable"),
    ("read_in_a_branch", "freezer-lost-variable"),
    ("counter_of_two_signatures", "shared-or-dynamic-state"),
    ("trainer_and_server", "shared-or-dynamic-state"),
    ("trainer_and_server", "unsupported-variable-update"),
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


def test_no_fix_is_left_out():
    """A new family, or a new finding of an old one, is run here or in its program."""
    alone = {family for _, family in ALONE}
    assert set(shown()) >= ALONE
    assert {family for _, family in shown()} <= alone | IN_ITS_PROGRAM.keys()


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
