"""The part that GitHub's runner plays for a composite action: inputs, environment files, steps."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml

#: What ``shell: bash`` stands for, in GitHub's documentation of workflows.
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
COMMAND = re.compile(r"^::([a-z-]+)(?: ([^\n]*?))?::(.*)$", re.MULTILINE)


@dataclass
class Job:
    """What came of a run of an action."""

    code: int
    outputs: dict
    summary: str
    printed: str
    annotations: list = field(default_factory=list)  # kind, properties, message


def run_action(action, workspace, temporary, *, skip=(), environment=None, **inputs):
    """Run the steps of an action's file in a workspace, until one fails; ``skip`` names steps."""
    told = yaml.safe_load(action.read_text(encoding="utf-8"))
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert not set(given) - set(told["inputs"]), "no such input"
    required = {name for name, one in told["inputs"].items() if one.get("required")}
    assert required <= set(given)
    values = {name: given.get(name, one.get("default", "")) for name, one in told["inputs"].items()}
    contexts = {f"inputs.{name}": str(value) for name, value in values.items()}
    contexts["github.action_path"] = str(action.parent)
    temporary.mkdir(exist_ok=True)
    files = {name: temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    code, printed = 0, ""
    for step in told["runs"]["steps"]:
        for path in files.values():
            path.touch()
        if step.get("id", step.get("name")) in skip:
            continue
        assert step["shell"] == "bash"
        script = temporary / "step.sh"
        script.write_text(step["run"])
        own = {name: expand(value, contexts) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=workspace,
            env={
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                **(environment or {}),
                **{name: str(path) for name, path in files.items()},
                "RUNNER_TEMP": str(temporary),
                **own,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        printed += done.stdout + done.stderr
        outputs = read_outputs(files["GITHUB_OUTPUT"].read_text())
        contexts |= {f"steps.{step.get('id')}.outputs.{n}": v for n, v in outputs.items()}
        code = done.returncode
        if code:
            break
    return Job(
        code,
        {name: expand(one["value"], contexts) for name, one in told["outputs"].items()},
        files["GITHUB_STEP_SUMMARY"].read_text(),
        printed,
        list(read_annotations(printed)),
    )


def expand(text, contexts):
    """Put the values of ``${{ … }}`` in; an output that was not set is empty."""
    return re.sub(r"\$\{\{\s*([\w.-]+)\s*\}\}", lambda m: contexts.get(m[1], ""), str(text))


def read_outputs(text):
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, sign, value in pairs if sign}


def read_annotations(printed):
    """Yield what the runner makes of workflow commands."""
    for kind, properties, message in COMMAND.findall(printed):
        pairs = (one.partition("=") for one in properties.split(",") if one)
        yield kind, {name: unescape(value) for name, _, value in pairs}, unescape(message)


def unescape(text):
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def exists_in(workspace, properties):
    return Path(workspace, properties["file"]).is_file()
