"""A variable that is read, and that nothing has set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, named, variable_names
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.keras3_export import key, lost_reads, unread_copies
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import WORD, Context, Pattern, quoted
from varhandle.families.other_resource import is_table_tensor
from varhandle.graph import Access, Variable


@case("untracked-variable", "variable that its module does not own")
def untracked_variable(trace: Trace) -> Answers:
    """Save a module whose function reads a variable that no object of it holds."""
    tf = trace.tf
    weight = tf.Variable([1.0, 2.0, 3.0, 4.0], name="weight")
    return trace.convert_saved(trace.module(lambda _, x: weight * x))


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    copies = unread_copies(reading)

    def message(variables: Sequence[Variable]) -> str:
        return (
            f"{named(variable_names(variables))} read, and nothing in the file gives a value: no "
            "checkpoint entry, no initializer, no object that owns the variable."
        )

    def trouble(variable: Variable) -> Sequence[Access]:
        return () if key(variable) in copies else lost_reads(variable)

    yield from FAMILY.in_variables(reading, trouble, message, _tracked)


def _tracked(variables: Sequence[Variable]) -> str:
    values = [f"tf.zeros({code.sized(v.shape)}, tf.{code.dtype(v)})" for v in variables]
    return code.with_tensorflow(
        "# Let the object that you save own the variable:",
        *(code.new_variable(v, value) for v, value in zip(variables, values, strict=True)),
    )


def _in_file(reading: Reading) -> Iterator[Finding]:
    def message(variables: Sequence[Variable]) -> str:
        text = (
            f"{named(variable_names(variables))} read, and no CALL_ONCE gives a value: the default "
            "delegates answer whatever lies in memory, the plain kernels refuse."
        )
        setters = sorted({s for v in variables for a in v.assigns for s in a.signatures})
        first = f" Signature {join_names(setters)} sets it, and must run first." if setters else ""
        return text + first

    def fix(_: Sequence[Variable]) -> str:
        return (
            "# The values are not in this file. Convert again, from Model.export, "
            "from_keras_model, or a\n# module that holds its variables; then run: varhandle "
            "diagnose on what you convert from."
        )

    def trouble(variable: Variable) -> Sequence[Access]:
        reads = () if variable.initialized else variable.reads
        return [read for read in reads if not _set_before(reading, variable, read)]

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def _set_before(reading: Reading, variable: Variable, read: Access) -> bool:
    """Tell whether the same run assigns a variable before this read of it."""
    assigned = [
        reading.nodes[a.function, a.node][0]
        for a in variable.assigns
        if a.function == read.function
    ]
    return bool(assigned) and min(assigned) < reading.nodes[read.function, read.node][0]


_IN_SESSION = (
    "In the session that reads, run the initializers, and then restore the checkpoint. What the"
    " checkpoint does not hold (an optimizer's slots, a metric's totals) keep out of the graph that"
    " is frozen.\n\n"
    "session.run(tf.compat.v1.global_variables_initializer())\n"
    "saver.restore(session, checkpoint)"
)


_KEEP_OWNER = (
    "Keep the object that owns the variables in a Python variable as long as its functions are"
    " called: a signature alone does not hold them.\n\n"
    "loaded = tf.saved_model.load(folder)  # or hub.load(url)\n"
    'answer = loaded.signatures["serving_default"](**inputs)'
)
_SAME_SESSION = (
    "Call the model in the graph and the session that it was loaded in; TensorFlow 2 without"
    " compat.v1 has one for all threads.\n\n"
    "graph, session = tf.compat.v1.get_default_graph(), tf.compat.v1.keras.backend.get_session()\n"
    "with graph.as_default(), session.as_default():  # in the thread that answers\n"
    "    answer = model.predict(x)"
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("no-variable"):
        name = line.get("variable")
        message = f"{quoted(name, 'A variable')} is read, and nothing has set it before."
        if name.lower().startswith("_anonymousvar"):
            message = f"{quoted(name, '')} is gone: Python has deleted the object that owned it."
            yield FAMILY.in_log(180, line, message, _KEEP_OWNER)
        elif index.of("session"):
            yield FAMILY.in_log(180, line, message, _SAME_SESSION)
        else:
            yield FAMILY.in_log(180, line, message)


def _is_no_table(context: Context) -> bool:
    return not is_table_tensor(context)


def _is_variable(context: Context) -> bool:
    return "dtype=resource" in context.after and _is_no_table(context)


FAMILY = Family(
    id="uninitialised-variable",
    order=110,
    what="A variable is read that nothing has set: a refusal, or an answer made of garbage.",
    cause="Its value was not saved, because no attribute of the saved object holds the variable.",
    fix=(
        "Let an attribute of the object that is saved hold every variable, and keep that object"
        " alive until it is converted. In TF1, run the initializers in the session that reads."
        "\n\n"
        "class Owner(tf.Module):\n"
        "    def __init__(self, model):\n"
        "        super().__init__()\n"
        "        self.model = model\n"
        "        # Keras 3: the raw variables as well, or their values are lost\n"
        "        self._variables = [variable.value for variable in model.variables]"
    ),
    cases=(untracked_variable,),
    graph_rules={"saved_model": _in_saved_model, "tflite": _in_file},
    log_patterns=(
        Pattern("no-variable", "variable != nullptr was not true"),
        Pattern("session", "client/session.py"),
        Pattern(
            "no-variable",
            "Could not find variable",
            reach=300,
            company=(
                *("has been deleted", "failed_precondition", "failedprecondition"),
                "readvariableop",
            ),
            after=rf"(?:(?P<variable>{WORD}{{1,200}}?)\.?(?:thiscouldmean|$))?",
        ),
        Pattern(
            "no-variable",
            "Error while reading resource variable",
            after=rf"(?:(?P<variable>{WORD}{{1,200}}?)fromcontainer)?",
        ),
        *(  # as GCC and Clang, and as MSVC write the type of the resource
            Pattern(
                "no-variable",
                f"{written} does not exist",
                rf"resource[a-z]{{0,40}}/(?P<variable>{WORD}{{1,200}}?)/$",
            )
            for written in ("N10tensorflow3VarE", "class tensorflow::Var")
        ),
        Pattern(
            "no-value-in-session",
            "Attempting to use uninitialized value",
            after=r"(?:(?P<variable>[\w/.\-]{1,200}?)(?:\[\[|$))?",
        ),
        *(
            Pattern(
                "untracked",
                phrase,
                reach=1200,
                company=("Tried to export a function",),
                test=_is_variable if phrase.endswith("object") else _is_no_table,
                after=r"(?:.{0,1100}?<tf\.variable'(?P<variable>[^':]{1,200}))?",
            )
            for phrase in ("untracked' resource", "untracked resource", "untracked object")
        ),
        Pattern(
            "untracked",
            "Failed to add concrete function",
            company=("captures",),
            after=r"'?b?'(?P<function>[^']{1,200})'.{0,200}?dtype=resource",
        ),
    ),
    log_meanings={
        "untracked": Meaning(
            170,
            "The function uses {variable:a variable}, which no attribute of the saved object"
            " holds; its value would be lost.",
        ),
        "no-value-in-session": Meaning(
            180, "{variable:A variable} is read, and nothing has set it before.", _IN_SESSION
        ),
    },
    log_rule=_in_log,
    spoils_whole_file=True,
    answers_wrongly=True,
    refuted_by_running=True,
    needs_handle_in_main_graph=True,
)
