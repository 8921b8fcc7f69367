"""What the tests of the failure families do: explain a log, find in a model, run a fix."""

import shlex
from importlib.metadata import version

import pytest
import zoo
from printed_code import pieces_of, ran

from varhandle import explain
from varhandle.cli import main
from varhandle.families.catalog import find
from varhandle.formats import read_graph
from varhandle.graph import Access, Function, Graph, Node, Signature, TensorSpec, Variable

exports_litert = pytest.mark.skipif(
    tuple(map(int, version("keras").split(".")[:2])) < (3, 13),
    reason="Keras writes .tflite files from 3.13 on, which Python 3.10 does not get",
)


def ids(log):
    return [match.id for match in explain(log).matches]


def refused(*ops):
    """The converter's own lines about ops that it cannot place."""
    return "\n".join(
        f"<unknown>:0: error: loc(\"{op}_node\"): 'tf.{op}' op is neither a custom op nor a flex op"
        for op in ops
    )


def finding_of(path, family, severity=None):
    severities = (severity,) if severity else ("error", "warning", "info")
    found = (f for f in find(read_graph(path)) if f.severity in severities)
    (finding,) = (f for f in found if f.id == family)
    return finding


def code_of(fix):
    """The code of what `explain` says to do: it stands after an empty line."""
    return fix.partition("\n\n")[2]


def run(code, **names):
    """Run printed Python; return its names."""
    exec(compile(code, "fix", "exec"), names)
    ran(code)
    return names


def run_command(line):
    """Run a printed command of the tool's own; return its exit code."""
    program, *arguments = shlex.split(line)
    assert program == "varhandle"
    code = main(arguments)
    ran(line)
    return code


def piece(text, beginning):
    """Return the only piece of code in a printed text that begins so; what comments hold, too."""
    (found,) = {one for one in pieces_of(text) if one.startswith(beginning)}
    return found


def case_test(family, expected):
    """A test that each reproduction does what it is for, and is explained as its family, if any.

    ``expected``: by case, ``works`` or ``wrong``, or where it stops: ``stage: exception: words``.
    """

    @pytest.mark.parametrize("case", expected)
    def test(reproduced, case):
        seen = reproduced(case)
        assert case in seen.text()
        if expected[case] in ("works", "wrong"):
            assert (seen.outcome, seen.stage) == (expected[case], "run")
            return
        stage, exception, words = expected[case].split(": ", 2)
        assert (seen.outcome, seen.stage, seen.exception_type) == ("error", stage, exception)
        assert words in seen.message
        assert family is None or ids(seen.message)[0] == family.id

    return test


def log_test(family, logs):
    """A test that each of these logs is explained as this family first."""

    @pytest.mark.parametrize("log", logs)
    def test(log):
        assert ids(log)[0] == family.id

    return test


def fix_of(path, family, severity=None):
    return finding_of(path, family, severity).fix


def severe(found, *severities):
    """The ids of findings of some severities: errors and warnings if none is named."""
    wanted = severities or ("error", "warning")
    return tuple(sorted(finding.id for finding in found if finding.severity in wanted))


def counter(tf):
    """A module that counts."""

    class Counter(tf.Module):
        def __init__(self):
            super().__init__()
            self.seen = tf.Variable(tf.zeros([4]), name="seen")

        @tf.function(input_signature=[zoo.spec(tf, 4)])
        def __call__(self, x):
            self.seen.assign_add(x)
            return {"y": self.seen.read_value()}

    return Counter()


def file_of(*nodes, initialized=False, signatures=("run",), dtypes=("float32", "float32")):
    """A file whose variable ``v`` is touched by ``nodes``: ``"read"`` and ``"assign"`` in order."""
    ops, reads, assigns = [Node("VAR_HANDLE#0", "VAR_HANDLE")], [], []
    for number, what in enumerate(nodes, start=1):
        op = {"read": "READ_VARIABLE", "assign": "ASSIGN_VARIABLE"}[what]
        value = TensorSpec("t", dtypes[what == "assign"], (4,))
        ops.append(Node(f"{op}#{number}", op, attributes={"value": value}))
        access = Access(op, f"{op}#{number}", "main", signatures[:1])
        (reads if what == "read" else assigns).append(access)
    variable = Variable("v", "float32", (4,), tuple(reads), tuple(assigns), initialized)
    named = tuple(Signature(name, "main", (), ()) for name in signatures)
    return Graph("m.tflite", "tflite", (Function("main", tuple(ops)),), (variable,), named)
