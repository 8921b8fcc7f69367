"""Exercises: the four outcomes, hints, and checks that are themselves broken."""

import re
import types

import numpy as np
import pytest

from workbook_lib.lesson import Wrong, exercise, progress
from workbook_lib.lesson.checks.start_here import tensorflow_version
from workbook_lib.lesson.panels import Panel
from workbook_lib.lesson.submissions import attempt, is_stub, same


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr(progress, "_unsaved", [])


@exercise("demo/names")
def names(answer):
    """Name every variable.

    More that a learner does not see.

    1. Where do handles
       live?
    2. Try `graph.variables`.
    """
    if not same(answer, {"counter", "kernel"}):
        raise Wrong("Compare with the table.")
    return "Each name is in `shared_name`."


@exercise("demo/double")
def double(function, number=3):
    """Write a function that doubles."""
    if attempt(function, number) != 2 * number:
        raise Wrong("Try it with 3.")
    return "It doubles."


def notebook_function(source):
    """Make a function as a notebook cell would: in ``__main__``, its lines known."""
    import linecache

    filename = f"/tmp/ipykernel_1/{abs(hash(source))}.py"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = {"__name__": "__main__"}
    exec(compile(source, filename, "exec"), namespace)
    return namespace["f"]


@pytest.mark.parametrize(
    "answer",
    [
        {"counter", "kernel"},
        ["kernel", "counter", "kernel"],
        ("counter", "kernel"),
        {"counter": 1, "kernel": 2}.keys(),
        np.array(["counter", "kernel"]),
        [b"counter", np.str_("kernel")],
    ],
)
def test_right_says_why(answer):
    outcome = names(answer)
    assert outcome.status == "right"
    assert outcome.text() == "Right\nEach name is in `shared_name`."
    assert "<code>shared_name</code>" in outcome.html()
    assert repr(outcome) == "Outcome(Right)"
    assert progress.read().exercise("demo/names").best == "right"


@pytest.mark.parametrize(
    "answer", ["counter", "counter kernel", ["counter"], 3, {}, set(), object(), np.zeros(3), [[]]]
)
def test_wrong_gives_advice_and_offers_a_hint(answer):
    outcome = names(answer)
    assert outcome.status == "wrong"
    assert outcome.text() == (
        "Not right yet\nCompare with the table.\nFor a hint, run `check.names.hint()`."
    )


def test_tensors_count_as_their_values(tf):
    assert names(tf.constant(["counter", "kernel"])).status == "right"
    assert names(tf.constant(["counter"])).status == "wrong"
    assert same(tf.constant([[1, 2]]), [[1, 2]])
    assert same(tf.Variable(1.5), 1.5)


@pytest.mark.parametrize("answer", [..., None])
def test_an_untouched_stub_is_not_attempted_and_not_counted(answer):
    outcome = names(answer)
    assert outcome.status == "not attempted"
    assert "Name every variable.\n" in outcome.text()
    assert "More that" not in outcome.text()
    assert not progress.read().exercises


STUBS = [
    "def f(number): ...",
    "def f(number):\n    '''Double it.'''",
    "def f(number):\n    '''Double it.'''\n    return ...",
    "def f(number):\n    pass",
    "def f(number):\n    raise NotImplementedError('yours')",
    "def f(number):\n    print(number)\n    return ...",
    "import functools\n@functools.lru_cache\ndef f(number): ...",
    "def f(number):\n    twice = ...\n    return [twice]",
    "def f(number):\n    for _ in range(2):\n        twice, thrice = ...\n    return twice",
    "def f(number):\n    twice = ...\n    return [twice for _ in '1']",
]


@pytest.mark.parametrize("source", STUBS)
def test_a_stub_function_is_not_attempted(source):
    assert double(notebook_function(source)).status == "not attempted"


def test_a_stub_under_tf_function_is_not_attempted(tf):
    assert is_stub(tf.function(notebook_function(STUBS[0])))
    assert not is_stub(tf.function(lambda x: x + 1))


def _with_dots_in_an_index(array):
    array[...] = 0
    return array[..., 0]


@pytest.mark.parametrize(
    "value",
    [0, "", [], False, np.zeros(2), lambda: 1, len, dict, object(), _with_dots_in_an_index],
)
def test_a_value_that_is_false_or_empty_is_still_an_answer(value):
    assert not is_stub(value)


def test_a_function_that_raises_shows_the_learners_line_and_no_traceback():
    function = notebook_function("def f(number):\n    values = [1]\n    return values[number]\n")
    outcome = double(function)
    assert outcome.status == "raised"
    assert outcome.text() == (
        "Your code raised an error\n"
        "IndexError: list index out of range\n"
        "Line 3 of your code: `return values[number]`"
    )
    assert progress.read().exercise("demo/double") == progress.ExerciseRecord("raised", 1)


def test_the_line_shown_is_the_learners_and_not_that_of_a_library():
    function = notebook_function("import json\ndef f(number):\n    return json.loads('{')\n")
    assert "Line 3 of your code" in double(function).advice


def test_a_function_from_outside_the_notebook_shows_its_line_as_well():
    def divide(number):
        return number / 0

    assert "of your code: `return number / 0`" in double(divide).advice


def test_not_implemented_from_a_library_is_an_error_and_not_a_stub():
    namespace = {"__name__": "library"}
    exec("def refuse():\n    raise NotImplementedError('symbolic')", namespace)
    caller = notebook_function("def f(n):\n    return refuse()\n")
    caller.__globals__["refuse"] = namespace["refuse"]
    assert double(caller).status == "raised"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    return 1", "TypeError"),
        ("def f(n):\n    raise SystemExit", "SystemExit"),
        ("def f(n):\n    raise ValueError('x' * 999)", "…"),
    ],
)
def test_other_ways_to_raise(source, expected):
    outcome = double(notebook_function(source))
    assert outcome.status == "raised"
    assert expected in outcome.advice
    assert len(outcome.advice) < 500


@pytest.mark.parametrize("indent", ["", "    if n > 0:\n    "])
def test_under_tf_function_the_line_is_the_learners_and_not_autographs(tf, indent):
    function = notebook_function(f"def f(n):\n{indent}    return [1][n]\n")
    outcome = double(tf.function(function))
    assert outcome.status == "raised"
    assert outcome.advice == (
        "IndexError: list index out of range\n"
        f"Line {2 + indent.count('if')} of your code: `return [1][n]`"
    )


@pytest.mark.parametrize(
    ("body", "told", "line"),
    [
        ("tf.function(lambda x: model(x)).get_concrete_function(spec([4]))", "(4,)", "lambda x"),
        ("tf.function(model.predict).get_concrete_function(spec([2, 4]))", "Error: ", "predict"),
        ("model(tf.zeros([3]))", "(3,)", "tf.zeros"),
    ],
    ids=["AutoGraph and Keras", "AutoGraph rewrites Keras alone", "Keras"],
)
def test_what_keras_raises_is_told_with_a_line_of_the_learner(tf, body, told, line):
    model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(1)])
    function = notebook_function(f"def f(n):\n    return {body}\n")
    function.__globals__.update(tf=tf, model=model, spec=tf.TensorSpec)
    outcome = double(function)
    assert outcome.status == "raised"
    message, where = outcome.advice.splitlines()
    assert told in message
    assert "\x1b" not in message
    assert "Exception encountered" not in message
    assert where.startswith("Line 2 of your code: `")
    assert line in where


@pytest.mark.parametrize("answer", [3, "double", [1]])
def test_a_value_in_the_place_of_a_function_is_wrong(answer):
    outcome = double(answer)
    assert outcome.status == "wrong"
    assert "without brackets" in outcome.advice


def test_a_function_without_return_is_wrong():
    outcome = double(notebook_function("def f(n):\n    result = 2 * n\n"))
    assert outcome.status == "wrong"
    assert "`return`" in outcome.advice


def test_too_few_or_too_many_answers_say_how_to_call():
    assert names().status == "not attempted"
    assert "`check.names(answer)`" in names(1, 2).advice
    assert double(function=lambda n: 2 * n, number=5).status == "right"


def test_a_broken_check_is_not_the_learners_fault():
    @exercise("demo/broken")
    def broken(answer):
        return answer.nonsense

    outcome = broken(3)
    assert outcome.status == "check failed"
    assert "not in your answer" in outcome.text()
    assert "AttributeError" in outcome.text()
    assert "Traceback" not in outcome.text()
    assert not progress.read().exercises


def test_learners_code_that_raises_without_attempt_is_still_seen_as_theirs():
    @exercise("demo/eager")
    def eager(function):
        return function(0)

    assert eager(notebook_function("def f(n):\n    return 1 / n\n")).status == "raised"


def test_interrupting_a_check_interrupts():
    with pytest.raises(KeyboardInterrupt):
        double(notebook_function("def f(n):\n    raise KeyboardInterrupt\n"))


def test_hints_come_one_after_the_other_and_then_end():
    assert names.hint().text() == "Hint 1 of 2\nWhere do handles live?"
    assert names.hint().text().startswith("Hint 2 of 2")
    assert names.hint().text().startswith("You have seen every hint")
    assert names.hint(1).text().startswith("Hint 1 of 2")
    assert progress.read().exercise("demo/names").hints == 2


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_hint_that_does_not_exist_says_which_do(number):
    assert "from 1 to 2" in names.hint(number).text()
    assert not progress.read().exercises


def test_without_hints_none_are_offered():
    assert "hint" not in double(lambda n: n).advice
    assert double.hint().title == "This exercise has no hints"
    assert double.hint(1).title == "This exercise has no hints"


def test_asking_for_the_solution_is_noted():
    assert "folded cell" in names.solution().text()
    assert progress.read().exercise("demo/names").solution_opened


def test_the_solution_that_is_shown_is_that_of_the_notebook():
    shown = tensorflow_version.solution()
    assert shown.code.startswith('my_tensorflow = "')
    assert shown.code in shown.text()
    assert "my_tensorflow = &quot;" in shown.html()


VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def buttons(notebook):
    """A function: the parts of the box below an outcome, by name."""

    def of(outcome):
        outcome._ipython_display_()
        above, box = notebook.bundles[-2:]
        assert VIEW not in above
        assert VIEW in box
        line, said, confirm, *_ = outcome.control()[1].children
        parts = {"above": above, "said": said, "confirm": confirm}
        for button in (*line.children, *confirm.children):
            parts[button.description.split()[0].strip(",")] = button
        return parts

    return of


def test_the_button_gives_one_hint_after_the_other_and_no_call_to_type(buttons):
    box = buttons(names(3))
    assert "check.names.hint()" not in box["above"]["text/html"]
    assert box["Hint"].description == "Hint 1 of 2"
    box["Hint"].click()
    assert "Where do handles live?" in box["said"].value
    assert "graph.variables" not in box["said"].value
    again = buttons(names(4))  # the check is run again
    assert again["Hint"].description == "Hint 2 of 2"
    again["Hint"].click()
    for hint in ("Where do handles live?", "<code>graph.variables</code>"):
        assert hint in again["said"].value
    assert again["Hint"].description == "All hints"
    again["Hint"].click()
    assert "2 of 2 hints" in again["said"].value
    assert progress.read().exercise("demo/names").hints == 2


def test_the_solution_is_shown_after_a_second_press_and_noted(buttons):
    box = buttons(tensorflow_version("1.15"))
    assert box["confirm"].layout.display == "none"
    box["Solution"].click()
    assert "my_tensorflow" not in box["said"].value
    assert not progress.read().exercise("start_here/tensorflow-version").solution_opened
    box["Not"].click()
    assert box["confirm"].layout.display == "none"
    box["Solution"].click()
    assert box["confirm"].layout.display is None
    box["Yes"].click()
    assert "my_tensorflow" in box["said"].value
    assert box["confirm"].layout.display == "none"
    assert progress.read().exercise("start_here/tensorflow-version").solution_opened


def test_who_has_solved_it_compares_at_once(buttons):
    box = buttons(names({"counter", "kernel"}))
    assert "Hint" not in box
    box["Solution"].click()
    assert "folded cell" in box["said"].value  # this exercise stands in no notebook


def test_a_check_that_fails_itself_offers_no_help(notebook):
    @exercise("demo/broken")
    def broken(answer):
        return answer.nonsense

    with pytest.raises(NotImplementedError):  # so IPython asks for the plain forms
        broken(3)._ipython_display_()


def test_progress_that_cannot_be_kept_is_one_line_of_the_outcome(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    outcome = names({"counter", "kernel"})
    assert outcome.status == "right"
    assert outcome.text().splitlines()[-1].startswith("Your progress is not kept")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, 2), [1, 2]),
        (np.float32(0.5), 0.5),
        (float("nan"), float("nan")),
        ({"a": np.array([1])}, {"a": [1]}),
        (b"text", "text"),
        (np.array(["x"]), {"x"}),
    ],
)
def test_same(answer, expected):
    assert same(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([2, 1], [1, 2]),
        ([1, 2, 3], [1, 2]),
        (np.zeros((2, 1)), [0, 0]),
        ({1, 2}, [1, 2]),
        ([1, 2, 3], {1, 2}),
        ([1], {1, 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1}, {"a"}),
        ("ab", ["a", "b"]),
        ("ab", {"a", "b"}),
        (0.1, 0.2),
        (np.array([1, 2]), 1),
        (types.SimpleNamespace(numpy=lambda: 1 / 0), 1),
        (b"\xff", "text"),
    ],
)
def test_not_same(answer, expected):
    assert not same(answer, expected)


def test_a_tolerance_holds_at_every_depth():
    assert same({"a": np.array([1.0, 2.0])}, {"a": [1.01, 2.0]}, tolerance=0.02)
    assert not same({"a": np.array([1.0, 2.0])}, {"a": [1.01, 2.0]}, tolerance=0.001)


def test_an_exercise_shows_its_task():
    how = "Check your answer with `check.names(answer)`."
    assert repr(names) == f"Exercise: Name every variable.\n{how}"


def test_words_are_no_markup_and_what_stands_in_backticks_is_code():
    shown = Panel("raised", "<i>", "ValueError: <b>`x` & `<u>`").html()
    assert not re.findall("<[ibu]>", shown)
    assert "&lt;b&gt;<code>x</code> &amp; <code>&lt;u&gt;</code>" in shown
