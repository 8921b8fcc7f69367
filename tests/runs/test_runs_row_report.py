"""``workbook sweep --report``: a row is an executed notebook, kept as far as it came."""

import json

import nbformat
import pytest

from varhandle.sweep.row_specs import rows_of_models
from varhandle.sweep.run import run_sweep
from workbook_lib import cli
from workbook_lib.runs.row_report import NotebookMaker, report_notebook

PARAMETERS = (
    *("model", "signature", "inputs", "target", "quantization", "output"),
    *("trust", "imports", "lock"),
)
BEGIN = """
import json, os, psutil, sys
from pathlib import Path
print("so far, so good", trust, imports, lock)
started = {command for process in psutil.Process().parents() for command in process.cmdline()}
"""
ACT = """
told = json.loads(Path(model).read_text())
if told["act"] == "raise":
    raise KeyError("<gone>")
if told["act"] == "abort":
    os.write(2, b"LLVM ERROR: no such thing\\n")
    os.abort()
"""
VERDICT = """
assert "tensorflow" not in sys.modules
# A fork keeps the command line of what it was forked from.
assert not [command for command in started if command.endswith("warm_kernels/zygote.py")]
assert [command for command in started if command.endswith("sandbox/zygote.py")]
content = {"verdict": "ready", "reason": "it runs", "diagnosis": {}, "file": None, "bytes": None,
           "parity": None}
Path(output, "verdict.json").write_text(json.dumps(content))
"""


def notebook(path):
    parameters = "\n".join(f"{name} = None" for name in PARAMETERS)
    sources = {"parameters": parameters, "begin": BEGIN, "act": ACT, "verdict": VERDICT}
    cells = [nbformat.v4.new_code_cell(text, id=name) for name, text in sources.items()]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept{braces}")
    models = [folder / f"{act}.tflite" for act in ("work", "raise", "abort")]
    for model in models:
        model.write_text(json.dumps({"act": model.stem}))
    maker = NotebookMaker(notebook(folder / "own.ipynb"))
    own = folder / "own_layers.py"
    own.write_text("")
    options = {"maker": maker, "trust": True, "imports": [str(own)], "lock": False}
    result = run_sweep(rows_of_models(models), folder / "out", **options)
    again = run_sweep(rows_of_models(models), folder / "out", **options)
    assert (again.kept, again.rows) == (3, result.rows)
    maker.notebook.write_text(maker.notebook.read_text().replace("it runs", "it still runs"))
    return result, run_sweep(rows_of_models(models[:1]), folder / "out", **options)


def test_a_row_says_what_became_of_its_notebook(swept):
    assert [(row.verdict, row.reason, row.cell) for row in swept[0].rows] == [
        ("ready", "it runs", ""),
        ("failed", "KeyError: '<gone>' in cell act", "act"),
        ("crashed", "the kernel died in cell act: LLVM ERROR: no such thing", "act"),
    ]


def test_another_notebook_makes_the_row_again(swept):
    assert [row.reason for row in swept[1].rows] == ["it still runs"]


def test_the_notebook_is_kept_as_far_as_it_came_and_as_a_page(swept):
    for row in swept[0].rows:
        folder = swept[0].folder / row.folder
        cells = json.loads((folder / "notebook.ipynb").read_text())["cells"]
        printed = [o["text"] for c in cells for o in c.get("outputs", ()) if "text" in o]
        own = swept[0].folder.parent / "own_layers.py"
        assert [f"so far, so good True {[str(own)]} False\n"] in printed
        assert "default-src 'none'" in (folder / "notebook.html").read_text()


def test_the_command_takes_notebook_08(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "varhandle.sweep.run.run_sweep", lambda *_, maker, **__: asked.append(maker)
    )
    (tmp_path / "m.tflite").write_text("")
    for more in ([], ["--report"]):
        with pytest.raises(AttributeError):  # there is no result
            cli.main(["sweep", str(tmp_path / "m.tflite"), *more])
    assert asked == [None, NotebookMaker(report_notebook())]
