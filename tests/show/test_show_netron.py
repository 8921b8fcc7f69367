import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from varhandle.graph.model import ModelFileError
from workbook_lib import show
from workbook_lib.locations import data_path
from workbook_lib.netron.tickets import VARIABLE, TicketFolder
from workbook_lib.show import netron_view


@pytest.fixture
def model(tmp_path):
    shutil.copy(data_path("digits_classifier.keras"), tmp_path / "my digits.keras")
    return tmp_path / "my digits.keras"


@pytest.fixture
def interactive(monkeypatch):
    """Somebody may be looking, and no Jupyter server has started this process."""
    monkeypatch.delenv("WORKBOOK_PROGRESS", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def in_jupyter(interactive, tmp_path, monkeypatch):
    """This process is a kernel of a server that has the extension."""
    folder = TicketFolder.make(tmp_path / "runtime", "/user/ada/")
    monkeypatch.setenv(VARIABLE, str(folder.path))
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    return folder


def test_a_headless_run_shows_the_text_and_starts_nothing(model, read_html):
    view = show.view_in_netron(model)
    lines = view.text().splitlines()
    assert lines[0] == "Netron: my digits.keras"
    assert lines[1].startswith("In JupyterLab, Netron draws this model here.")
    assert "layers/conv2d/vars/0" in view.text()
    assert "MaxPooling2D" in view.text()
    assert (view.url, view.closed, repr(view)) == ("", True, "NetronView(my digits.keras, text)")
    view.close()
    page = read_html(view.html())
    assert not page.all("iframe") + page.all("a") + page.all("form")
    assert "open" in page.all("details")[0]
    assert len(page.all("table")) == 2
    assert "layers/conv2d/vars/0" in "".join(page.words)


def test_in_jupyter_a_frame_asks_before_it_goes_anywhere(in_jupyter, model, read_html):
    view = show.view_in_netron(model)
    assert view.url.startswith("/user/ada/workbook/netron/page/?ticket=")
    (frame,) = read_html(view.html()).all("iframe")
    assert "src" not in frame
    assert frame["title"] == "Netron: the graph of my digits.keras"
    note = read_html(frame["srcdoc"])
    assert "Run the cell in JupyterLab" in "".join(note.words)
    assert f'["{view.served.probe}", "{view.url}"]' in "".join(note.words)
    assert "layers/conv2d/vars/0" in view.text()
    name = view.url.partition("=")[2]
    assert name not in view.text()
    opened = in_jupyter.open(name)
    assert opened[0] == model.name
    opened[1].close()
    view.close()
    assert in_jupyter.open(name) is None


def test_in_jupyter_the_page_also_opens_in_a_tab(in_jupyter, tmp_path, hostile, read_html):
    model = tmp_path / f"{hostile.replace('/', '')}.tflite"
    model.write_bytes(b"x")
    view = show.view_in_netron(model)
    page = read_html(view.html())
    assert not page.all("script")
    assert "hidden" in page.all("div")[0]  # until the frame has found that the page is there
    (form,) = page.all("form")
    (field,) = page.all("input")
    assert form["target"] == "_blank"
    assert f"{form['action']}?{field['name']}={field['value']}" == view.url


def test_when_the_server_is_gone_the_kernel_serves_it_itself(in_jupyter, model, monkeypatch):
    def refuse(self, model):
        raise OSError("no locks available")

    monkeypatch.setattr(TicketFolder, "write", refuse)
    view = show.view_in_netron(model)
    assert view.url.startswith("http://127.0.0.1:")
    view.close()


def test_elsewhere_a_link_leads_to_the_kernels_own_server(interactive, model, read_html):
    view = show.view_in_netron(model)
    try:
        assert view.text().splitlines()[0] == f"Netron: my digits.keras: {view.url}"
        assert "No Jupyter server with the workbook's extension" in view.text()
        page = read_html(view.html())
        assert not page.all("iframe")  # in a copy of the page it would be dead
        assert page.all("a")[0]["href"] == view.url
        with urllib.request.urlopen(f"{view.url}data/my%20digits.keras", timeout=10) as answer:
            assert answer.read() == model.read_bytes()
        assert repr(view) == "NetronView(my digits.keras, open)"
    finally:
        view.close()
    assert view.closed
    assert view.text().splitlines()[0] == "Netron: my digits.keras, closed."
    assert not read_html(view.html()).all("a")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(view.url, timeout=10)


def test_a_file_that_only_netron_reads_is_shown_without_a_list(model):
    other = model.with_name("x.onnx")
    other.write_bytes(b"onnx")
    assert "No list of its ops:" in show.view_in_netron(other).text()


def test_a_long_list_is_cut_and_says_so(model, monkeypatch, read_html):
    whole = show.view_in_netron(model).text().splitlines()
    monkeypatch.setattr(netron_view, "_MOST_LINES", 5)
    cut = show.view_in_netron(model).text().splitlines()
    assert cut[:-1] == whole[: len(cut) - 1]
    left_out = len(whole) - (len(cut) - 1)
    assert cut[-1] == f"… {left_out} more lines: varhandle inspect has them all"
    assert len(read_html(show.view_in_netron(model).html()).all("table")) == 0


@pytest.mark.parametrize("allow_stdin", [True, False])
def test_papermill_takes_no_input_and_gets_the_text(interactive, monkeypatch, allow_stdin):
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=allow_stdin))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert netron_view._headless() is not allow_stdin


def test_nbclient_does_say_so(tmp_path, model):
    """Its executed copy holds the text, though nothing has told it that nobody looks."""
    import nbformat
    from nbclient import NotebookClient

    code = f"from workbook_lib import show\nshow.view_in_netron({str(model)!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    environment = {k: v for k, v in os.environ.items() if k != "WORKBOOK_PROGRESS"}
    NotebookClient(notebook, kernel_name="python3").execute(env=environment)
    (output,) = notebook.cells[0].outputs
    assert "Nobody can click in this run" in output["data"]["text/plain"]


def test_missing_model_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nothing\.tflite: there is no such file"):
        show.view_in_netron(tmp_path / "nothing.tflite")
    with pytest.raises(ModelFileError, match=re.escape(f"{tmp_path}: a folder without")):
        show.view_in_netron(tmp_path)


def test_a_terminal_gets_the_address():
    code = "from workbook_lib import show; from workbook_lib.locations import data_path; "
    code += (
        "v = show.view_in_netron(data_path('digits_classifier.keras')); print(v.text()); v.close()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "WORKBOOK_PROGRESS"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert re.match(r"Netron: digits_classifier\.keras: http://127\.0\.0\.1:\d+/", run.stdout)
