"""A variable of one's own choice against the converter: a dtype, an update, a setting.

Whatever setting was chosen, the cause of a refusal is what the converter says without it: a setting
moves the failure and hides its name.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from varhandle.display import Rich, RichTable, Table, code_html, panel_html, printable
from varhandle.explanation import explain
from varhandle.sandbox import Record, run_source

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

#: What the settings come to, as far as it can be told before: what a learner may say will come.
ENDS = ("it runs", "the converter refuses", "the interpreter refuses")

DEFAULT = ("float16", "assign", "defaults")
_LONGEST_LINE = 160
# What a line of MLIR says after the location that it speaks of, which differs from run to run.
_OP_AND_FAULT = re.compile(r"'tfl?\.\w+' op .*")
_REFUSED_BY = re.compile("refused by (.+)")

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
    by_default: Record | None = None  # how it ends with the converter's defaults, where it fails
    expected: str = ""  # one of ``ENDS``, said beforehand

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
    def end(self) -> str:
        """The outcome in the words of ``ENDS``, or as it is."""
        ends = {"right answers": "it runs"}
        return ends.get(self.outcome, _REFUSED_BY.sub(r"\1 refuses", self.outcome))

    @cached_property
    def cause(self) -> str:
        """Why it fails: the dtype, the update, both, or an op beside the variable.

        Empty where nothing failed, or nothing is known.
        """
        if self.by_default is None or self.by_default.outcome != "raised":
            return ""
        ids = self.families
        ops = [op.rpartition(".")[2] for op in self.by_default.failing_ops]
        causes = []
        if "unsupported-variable-update" in ids:
            parts = " and ".join(op for op in ops if op.startswith("Resource"))
            causes.append(f"the update: no builtin op assigns a part of a variable ({parts})")
        if "unsupported-variable-dtype" in ids:
            causes.append(f"the dtype: the builtin ops for variables do not take {self.dtype}")
        if not causes and ops:
            causes.append(
                f"not the variable, which may be {self.dtype}: the update needs {ops[0]}, and for "
                f"that there is no builtin op in {self.dtype}"
            )
        return "; and ".join(causes)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The ids of the families of failure that the converter's own words show."""
        if self.by_default is None:
            return ()
        return tuple(match.id for match in explain(self.by_default.message).matches)

    @property
    def line(self) -> str:
        """The line of the message that decides; empty where nothing was said."""
        if self.parity is None:
            message = self.record.message
        else:
            message = next((run.refusal for run in self.parity.runs if run.refusal), "")
        matches = explain(message).matches
        if matches:
            line = matches[0].line
        else:
            line = next(filter(None, map(str.strip, message.splitlines())), "")
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
        if self.expected:
            agrees = "as you said" if self.expected == self.end else "not as you said"
            facts.append((agrees, self.expected))
        if self.cause:
            facts.append(("cause", self.cause))
        if self.outcome.endswith(" answers") and self.parity is not None:
            facts += [(run.kernels, run.verdict) for run in self.parity.runs]
        if self.line:
            facts.append(("what it says", self.line))
        if self.record.failing_ops:
            facts.append(("ops that the converter names", ", ".join(self.record.failing_ops)))
        if self.families:
            facts.append(("family", ", ".join(self.families)))
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


@dataclass(frozen=True, repr=False, eq=False)
class VariableTrials(RichTable):
    """Trials below each other, in the order in which they were made."""

    trials: tuple[VariableTrial, ...] = ()

    def __repr__(self) -> str:
        return f"VariableTrials({len(self.trials)})"

    def with_trial(self, trial: VariableTrial) -> VariableTrials:
        """Return these and one more; a choice that was tried before moves to the end."""
        chosen = (trial.dtype, trial.update, trial.setting)
        others = [one for one in self.trials if (one.dtype, one.update, one.setting) != chosen]
        return VariableTrials((*others, trial))

    def _table(self) -> Table:
        said = any(trial.expected for trial in self.trials)
        headers = ["dtype", "update", "converter", *(["you said"] if said else []), "what came"]
        rows = []
        for each in self.trials:
            expected = [each.expected or "nothing"] if said else []
            rows.append([each.dtype, each.update, each.setting, *expected, each.end, each.cause])
        return [*headers, "cause"], rows, "What you tried"


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
    dtype: str = DEFAULT[0],
    update: str = DEFAULT[1],
    setting: str = DEFAULT[2],
    *,
    expected: str = "",
) -> VariableTrial:
    """Run the program of a choice in a child process, for five minutes at most.

    ``expected`` is what was said of it beforehand, one of ``ENDS``. Raises ``ValueError``: there
    is no such choice.
    """
    from varhandle.evaluate.parity import check_parity

    code = program(dtype, update, setting)
    record = _run(code)
    parity = by_default = None
    if record.ok:
        made = record.value
        parity = check_parity(made["answers"], made["tflite_model"], made["calls"])
    if parity is None or not parity.passed:
        by_default = record if setting == "defaults" else _run(program(dtype, update, "defaults"))
    return VariableTrial(dtype, update, setting, code, record, parity, by_default, expected)


def _run(code: str) -> Record:
    return run_source(code, keep=["tflite_model", "calls", "answers"], timeout=300.0)


def try_variables(choices: Iterable[tuple[str, ...]]) -> VariableTrials:
    """Try several choices as :func:`try_variable` does."""
    return VariableTrials(tuple(try_variable(*choice) for choice in choices))
