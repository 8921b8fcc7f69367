"""The exercises of notebook 04: typical mistakes, each with its advice."""

import textwrap

import pytest
from notebook_cells import EXERCISES, assert_says

WITHOUT_ADD = """
    def without_add(folder):
        converter = TFLiteConverter.from_saved_model(folder{keys})
        return {returned}
"""
RENAMED = """
    def renamed(folder):
        loaded = tf.saved_model.load(folder)
        given = {"peek": loaded.signatures["look"], "reset": loaded.signatures["reset"]}
        tf.saved_model.save(loaded, folder + "/renamed", signatures=given)
        return TFLiteConverter.from_saved_model(folder + "/renamed").convert()
"""
ALL_BUT_ADD = ', signature_keys=["look", "reset"]'


@pytest.mark.parametrize(
    ("keys", "returned", "told"),
    [
        ("", "converter.convert()", "still has `add`"),
        (', signature_keys=["add", "look"]', "converter.convert()", "still has `add`"),
        (', signature_keys=["look"]', "converter.convert()", "`look` gives a constant"),
        (', signature_keys=["reset"]', "converter.convert()", "has no `look`"),
        (ALL_BUT_ADD, "converter", "Return the bytes"),
        (ALL_BUT_ADD, "b'TFL3'", "no `.tflite` file"),
        (ALL_BUT_ADD, "None", "returned `None`"),
        ("", "renamed(folder)", "Its signatures are: peek, reset"),
    ],
)
def test_wrong_choices_of_signatures(outcome, keys, returned, told):
    source = WITHOUT_ADD.format(keys=keys, returned=returned) + RENAMED
    assert_says(outcome("convert/keep-the-total", source), told)


@pytest.mark.parametrize(
    "keys", [', ["reset", "look"]', ', signature_keys=("look", "reset")'], ids=["order", "tuple"]
)
def test_other_ways_to_keep_the_total(outcome, keys):
    source = WITHOUT_ADD.format(keys=keys, returned="bytearray(converter.convert())")
    assert outcome("convert/keep-the-total", source).status == "right"


def test_a_key_that_is_no_list_raises(outcome):
    source = WITHOUT_ADD.format(keys=', signature_keys="look"', returned="converter.convert()")
    assert_says(outcome("convert/keep-the-total", source), "Invalid signature key 'l'", "raised")


def test_the_folder_of_the_notebook_is_not_that_of_the_check(outcome):
    source = f"""
import tempfile


class Other(tf.Module):
    def __init__(self):
        self.total = tf.Variable([0.0, 0.0])

    @tf.function(input_signature=[], autograph=False)
    def look(self):
        return {{"total": self.total + 0.0}}

    @tf.function(input_signature=[], autograph=False)
    def reset(self):
        self.total.assign([0.0, 0.0])
        return {{"total": self.total + 0.0}}


other, mine = Other(), tempfile.mkdtemp()
tf.saved_model.save(other, mine, signatures={{"look": other.look, "reset": other.reset}})
{EXERCISES["convert/keep-the-total"].solution}
right = without_add


def without_add(folder):
    return right(mine)
"""
    assert_says(outcome("convert/keep-the-total", source), "the folder that it is given")


OPS_BY_CODE = """
    def ops_by_code(errors):
        found = {{}}
        for entry in errors:
            code = entry.ErrorCode.Name(entry.error_code)
            {collect}
        return {returned}
"""
IN_SETS = "found.setdefault(code, set()).add(entry.operator.name)"
IN_LISTS = "found.setdefault(code, []).append(entry.operator.name)"


@pytest.mark.parametrize(
    ("collect", "returned", "told"),
    [
        (IN_SETS, "found", "as a list, sorted"),
        (IN_LISTS, "found", "has 4 ops, of which 3 are different"),
        (IN_LISTS, "{c: sorted(ops) for c, ops in found.items()}", "Give each once"),
        (
            "found.setdefault(entry.error_code, set()).add(entry.operator.name)",
            "{c: sorted(ops) for c, ops in found.items()}",
            "numbers of the codes",
        ),
        ("found[entry.operator.name] = [code]", "found", "The keys are ops"),
        ("found[code] = [entry.operator.name]", "found", "expects tf.AssignVariableOp"),
        ("found[code] = entry.operator.name", "found", "and no list"),
        (
            "found.setdefault(code, []).append(entry.operator)",
            "found",
            "objects of type `Operator`",
        ),
        (IN_SETS, "errors.clear() or {}", "has not"),
        (
            "found.setdefault(code, set()).add(entry.location.call[0].name)",
            "{c: sorted(ops) for c, ops in found.items()}",
            "These are nodes",
        ),
        (
            IN_SETS,
            "{c: sorted(ops) for c, ops in found.items() if c.startswith('ERROR_NEEDS')}",
            "has not",
        ),
        (IN_SETS, "{**{c: sorted(ops) for c, ops in found.items()}, 'UNKNOWN': []}", "has it"),
        (IN_SETS, "sorted(found)", "Return a dictionary"),
        (IN_SETS, "{}", "has not"),
    ],
)
def test_wrong_readings_of_errors(outcome, collect, returned, told):
    source = OPS_BY_CODE.format(collect=collect, returned=returned)
    assert_says(outcome("convert/ops-by-code", source), told)


@pytest.mark.parametrize(
    "body",
    [
        """
            errors.sort(key=lambda entry: entry.operator.name)
            found = {}
            for entry in errors:
                ops = found.setdefault(entry.ErrorCode.Name(entry.error_code), [])
                if entry.operator.name not in ops:
                    ops.append(entry.operator.name)
            return found
        """,
        """
            name = lambda entry: type(entry).ErrorCode.Name(entry.error_code)
            return {
                code: sorted({e.operator.name for e in errors if name(e) == code})
                for code in map(name, errors)
            }
        """,
    ],
    ids=["sorts-in-place", "comprehensions"],
)
def test_other_readings_of_errors_are_as_good(outcome, body):
    source = "def ops_by_code(errors):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    assert outcome("convert/ops-by-code", source).status == "right"


def test_a_reading_of_errors_that_knows_only_the_checks_entries(outcome):
    assert_says(
        outcome(
            "convert/ops-by-code",
            """
        def ops_by_code(errors):
            return {
                "ERROR_NEEDS_FLEX_OPS": ["tf.AssignVariableOp", "tf.PyFunc", "tf.VarHandleOp"],
                "ERROR_NEEDS_CUSTOM_OPS": ["tf.PyFunc"],
                "ERROR_UNSUPPORTED_CONTROL_FLOW_V1": ["tf.Enter"],
            }
        """,
        ),
        "empty dictionary",
    )


def test_a_reading_of_errors_that_raises(outcome):
    source = "def ops_by_code(errors): return {entry.code: entry.op for entry in errors}"
    assert_says(outcome("convert/ops-by-code", source), "AttributeError", "raised")


OWNER = """
    def owner_of(model):
        owner = tf.Module()
        owner.held = {held}
        return owner
"""


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("model", "6 variables that nothing initializes"),
        ("model.variables", "6 variables that nothing initializes"),
        ("None", "owns 0"),
        ("[v.value for v in model.trainable_variables]", "owns 4"),
        ("[tf.Variable(v.value) for v in model.variables]", "owns 0"),
        ("model.get_weights()", "owns 0"),
    ],
)
def test_wrong_owners(outcome, held, told):
    assert_says(outcome("convert/owner", OWNER.format(held=held)), told)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("model", "6 variables that nothing initializes"),
        ("[v.value for v in model.variables]", "owns 0"),
        ("tf.Module", "owns 0"),
    ],
)
def test_what_is_no_owner(outcome, returned, told):
    assert_says(outcome("convert/owner", f"def owner_of(model): return {returned}"), told)


@pytest.mark.parametrize(
    "held",
    ["{v.path: v.value for v in model.variables}", "[v.value for v in model.weights]"],
)
def test_other_owners_are_as_good(outcome, held):
    assert outcome("convert/owner", OWNER.format(held=held)).status == "right"


def test_an_owner_that_changes_the_values(outcome):
    assert_says(
        outcome(
            "convert/owner",
            """
        def owner_of(model):
            owner = tf.Module()
            owner.held = [v.value for v in model.variables]
            for variable in owner.held:
                variable.assign(tf.zeros_like(variable))
            return owner
        """,
        ),
        "as they are",
    )


def test_an_owner_that_raises(outcome):
    assert_says(
        outcome("convert/owner", "def owner_of(model): return model.variables.value"), "", "raised"
    )
