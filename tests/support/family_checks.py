"""What the tests of the failure families do: explain a log, find in a model, run a fix."""

from varhandle import explain
from varhandle.families.catalog import find
from varhandle.formats import read_graph


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
    exec(compile(code, "fix", "exec"), names)
    return names


def check_case(seen, outcome, stage, exception="", message=""):
    assert (seen.outcome, seen.stage, seen.exception_type) == (outcome, stage, exception)
    assert message in seen.message
    assert seen.case in seen.text()
