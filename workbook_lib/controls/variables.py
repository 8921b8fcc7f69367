"""A variable of one's own choice against the converter: a dtype, an update, a setting.

:func:`variable_chooser` draws controls; :func:`try_variable` is the plain call that does the same.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from varhandle.display import Rich, code_html, join_all, panel_html, printable
from varhandle.explanation import Explanation, explain
from varhandle.families.catalog import family
from varhandle.sandbox import Record, run_source
from workbook_lib.controls.slow_work import SlowWork, dropdown, is_interactive
from workbook_lib.lesson.control_box import as_control

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity

#: What a learner may choose; TensorFlow has a few more, such as complex numbers and text.
DTYPES = (
    *("float32", "float64", "float16", "bfloat16"),
    *("int8", "int16", "int32", "int64", "uint8", "uint32", "bool"),
)

#: What the function does with its variable -> the line that does it.
UPDATES: Mapping[str, str] = {
    "only read": "",
    "assign": "self.state.assign(value)",
    "assign_add": "self.state.assign_add(value)",
    "assign a slice": "self.state[:2].assign(value[:2])",
    "scatter rows": "self.state.scatter_nd_update([[0], [2]], value[:2])",
}

#: What is asked of the converter -> the lines that ask for it.
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "defaults": (),
    "SELECT_TF_OPS": (
        "builtins, flex = tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS",
        "converter.target_spec.supported_ops = [builtins, flex]",
    ),
    "allow_custom_ops": ("converter.allow_custom_ops = True",),
    "resource variables off": ("converter.experimental_enable_resource_variables = False",),
}

_DEFAULT = ("float16", "assign", "defaults")
_LONGEST_LINE = 160
# What a line of MLIR says after the location that it speaks of, which differs from run to run.
_OP_AND_FAULT = re.compile(r"'tfl?\.\w+' op .*")

_PROGRAM = """\
import tempfile

import numpy as np
import tensorflow as tf


class Keeper(tf.Module):
    def __init__(self):
        self.state = tf.Variable(tf.zeros([4], tf.{dtype}), name="state")

    @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
    def __call__(self, x):
        before = tf.cast(self.state, tf.float32)
{update}        return before + x


module, folder = Keeper(), tempfile.mkdtemp()
tf.saved_model.save(module, folder, signatures=module.__call__.get_concrete_function())
converter = tf.lite.TFLiteConverter.from_saved_model(folder)
{setting}tflite_model = converter.convert()

calls = [np.full(4, number, np.float32) for number in (1, 2, 3)]
answers = [module(call).numpy() for call in calls]
"""
_PARITY = "parity = check_parity(answers, tflite_model, calls)"


@dataclass(frozen=True, repr=False, eq=False)
class VariableTrial(Rich):
    """What became of one choice."""

    dtype: str  # the variable's dtype
    update: str  # a key of ``UPDATES``
    setting: str  # a key of ``SETTINGS``
    code: str  # the program that ran, in a child process
    record: Record  # how it ended there
    parity: Parity | None  # three calls, compared; ``None`` where no file came of it

    @property
    def outcome(self) -> str:
        """What it came to.

        ``"right answers"`` or ``"wrong answers"``; ``"refused by"`` TensorFlow, the converter or
        the interpreter; or what ended the child (``"crashed"``, ``"timed out"``, …).
        """
        if self.parity is not None:
            if self.parity.passed:
                return "right answers"
            refused = all(run.refusal for run in self.parity.runs)
            return "refused by the interpreter" if refused else "wrong answers"
        if self.record.outcome != "raised":
            return self.record.outcome
        by = "the converter" if ".convert()" in self.record.line else "TensorFlow"
        return f"refused by {by}"

    @property
    def _message(self) -> str:
        if self.parity is not None:
            return next((run.refusal for run in self.parity.runs if run.refusal), "")
        return self.record.message

    @cached_property
    def explanation(self) -> Explanation:
        """The families of failure that its message shows."""
        return explain(self._message)

    @property
    def line(self) -> str:
        """The line of the message that decides; empty where nothing was said."""
        if self.explanation.matches:
            line = self.explanation.matches[0].line
        else:
            line = next(filter(None, map(str.strip, self._message.splitlines())), "")
        found = _OP_AND_FAULT.search(line)
        line = printable(found[0] if found else line, most=None)
        return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"

    def __repr__(self) -> str:
        return f"VariableTrial({self._title})"

    @property
    def _title(self) -> str:
        setting = "" if self.setting == "defaults" else f", {self.setting}"
        converts = "it converts, with " if self.outcome.endswith(" answers") else ""
        return f"{self.dtype}, {self.update}{setting}: {converts}{self.outcome}"

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        if self.outcome.endswith(" answers") and self.parity is not None:
            facts += [(run.kernels, run.verdict) for run in self.parity.runs]
        if self.line:
            facts.append(("the line that decides", self.line))
        matches = self.explanation.matches
        if matches:
            about = (
                "" if family(matches[0].id).of_variables else ": the line is not about a variable"
            )
            facts.append(("family", join_all(match.id for match in matches) + about))
            facts.append(("what it means", matches[0].message))
        elif self.line:
            facts.append(("family", "none: the line is not about a variable"))
        if self.record.failing_ops:
            facts.append(("ops that the converter names", ", ".join(self.record.failing_ops)))
        return facts

    def text(self) -> str:
        facts = [f"  {title}: {words}" for title, words in self._facts()]
        program = [f"    {line}".rstrip() for line in displayed_code(self.code).splitlines()]
        return "\n".join([self._title, *facts, "The program that ran:", *program])

    def html(self) -> str:
        return self.panel(code_html(displayed_code(self.code)))

    def panel(self, below: str = "") -> str:
        """Return the outcome and what decides it as a panel, and below it HTML as it is."""
        tones = {"right answers": "right", "wrong answers": "raised", "cancelled": "neutral"}
        facts = "".join(
            f"<li>{html.escape(title)}: {html.escape(words)}</li>" for title, words in self._facts()
        )
        body = f'<ul style="margin: 0.3em 0">{facts}</ul>' if facts else ""
        return panel_html(tones.get(self.outcome, "wrong"), self._title, body + below)


def displayed_code(code: str) -> str:
    """Leave out the imports of a program, and add the comparison that follows outside the child."""
    return code[code.index("class ") :].replace("\n\n\n", "\n\n") + _PARITY


def program(dtype: str, update: str, setting: str) -> str:
    """Write the program that a choice stands for.

    A module with one variable is saved, converted, and asked three times. Raises ``ValueError``:
    there is no such choice; the message names those that there are.
    """
    for name, chosen, offered in (
        ("dtype", dtype, DTYPES),
        ("update", update, UPDATES),
        ("setting", setting, SETTINGS),
    ):
        if chosen not in offered:
            raise ValueError(f"no {name} {chosen!r}; there are: {', '.join(offered)}")
    lines = [f"value = tf.cast(x, tf.{dtype})", UPDATES[update]] if UPDATES[update] else []
    return _PROGRAM.format(
        dtype=dtype,
        update="".join(f"        {line}\n" for line in lines),
        setting="".join(f"{line}\n" for line in SETTINGS[setting]),
    )


def try_variable(
    dtype: str = _DEFAULT[0], update: str = _DEFAULT[1], setting: str = _DEFAULT[2]
) -> VariableTrial:
    """Run the program of a choice in a child process, for five minutes at most.

    Raises ``ValueError``: there is no such choice.
    """
    from varhandle.evaluate.parity import check_parity

    code = program(dtype, update, setting)
    record = run_source(code, keep=["tflite_model", "calls", "answers"], timeout=300.0)
    parity = None
    if record.ok:
        made = record.value
        parity = check_parity(made["answers"], made["tflite_model"], made["calls"])
    return VariableTrial(dtype, update, setting, code, record, parity)


def variable_chooser() -> Any:
    """Show controls to choose a dtype, an update and a setting, and to convert.

    Where nobody can use controls: the trial of the default choice.
    """
    if not is_interactive():
        return try_variable()
    from ipywidgets import HTML, VBox

    choices = [
        dropdown("Dtype:", "the dtype of the variable", DTYPES, _DEFAULT[0]),
        dropdown("Update:", "what the function does with the variable", UPDATES, _DEFAULT[1]),
        dropdown("Converter:", "what is asked of the converter", SETTINGS, _DEFAULT[2]),
    ]
    code = HTML()

    def chosen() -> tuple[str, str, str]:
        dtype, update, setting = (choice.value for choice in choices)
        return dtype, update, setting

    def follow(_: Any = None) -> None:
        code.value = code_html(displayed_code(program(*chosen())))

    def work(report: Callable[[str], None]) -> str:
        choice = chosen()  # the learner may choose on meanwhile
        report(", ".join(choice))
        return try_variable(*choice).panel()  # its program stands above it already

    for choice in choices:
        choice.observe(follow, names="value")
    follow()
    slow = SlowWork("Convert", work, hint="Choose, then press Convert.")
    return as_control(VBox([*choices, code, slow.box]), "workbook-variable-chooser")
