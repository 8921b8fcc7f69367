"""The page that reads logs and models in the browser, in Chromium, as ``make page`` builds it."""

import contextlib
import functools
import json
import re
import shutil
import threading
import time
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import nbformat
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from browser_axe import faults
from built import built_page
from family_fixtures import specimen_path, tf

from varhandle import explain, read_graph
from workbook_lib.editions.page_lessons import lessons_folder
from workbook_lib.locations import project_root

__all__ = ["specimen_path", "tf"]

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser
expect = sync_api.expect

EXAMPLES = project_root() / "docs/page/examples"
LESSONS = sorted(lessons_folder().glob("*.ipynb"))
LOGS = project_root() / "tests/varhandle/families/logs"
START = 120_000  # milliseconds for Python to start, on a busy machine
ANSWER = 60_000
# Jupyter Notebook says how its kernel is until it is idle. Asked to run before, it runs nothing.
IDLE = ".jp-NotebookKernelStatus-fade:not(.jp-NotebookKernelStatus-info)"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def page_folder():
    return built_page()


@pytest.fixture(scope="session")
def page_address(page_folder):
    """The folder as ``python -m http.server`` serves it."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(page_folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def visitor(chromium, page_address):
    """A window in which what goes wrong, and what is asked for, is noted."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.asked, page.errors = [], []
    context.on("request", lambda request: page.asked.append(request.url))
    context.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
    context.on("weberror", lambda found: page.errors.append(str(found.error)))
    page.address = page_address
    yield page
    context.close()


@pytest.fixture
def fresh(chromium, page_address):
    """A visitor who has never been here."""
    with visitor(chromium, page_address) as page:
        yield page


@pytest.fixture(scope="session")
def _window(chromium, page_address):
    """One window for the tests that do not ask for a first visit: Python starts once."""
    with visitor(chromium, page_address) as page:
        opened(page)
        yield page


@pytest.fixture
def visit(_window):
    _window.set_viewport_size({"width": 1280, "height": 800})
    _window.emulate_media(color_scheme="light")
    _window.errors.clear()
    yield _window
    assert _window.errors == []
    assert {urlsplit(url).hostname for url in _window.asked if url.startswith("http")} <= {
        "127.0.0.1"
    }


def opened(page):
    page.goto(page.address)
    expect(page.locator("#status")).to_contain_text("Ready", timeout=START)
    return page


def paste(page, text):
    """Paste from the clipboard's place, as Ctrl+V does; the page answers by itself."""
    page.locator("#log").fill("")
    page.locator("#log").focus()
    page.evaluate(
        """(text) => {
          const data = new DataTransfer();
          data.setData("text/plain", text);
          const log = document.getElementById("log");
          const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
          if (log.dispatchEvent(event)) log.setRangeText(text);
        }""",
        text,
    )


def give(page, *paths):
    page.locator("#file").set_input_files([str(path) for path in paths])


def wait_until(page, expression):
    """Ask until it is so; ``wait_for_function`` is refused by the page's policy."""
    deadline = time.monotonic() + START / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(100)


def answer(page, words):
    expect(page.locator("#answer")).to_contain_text(words, timeout=ANSWER)
    return page.locator("#answer")


def runs(page):
    """Wait until the file runs, and return the runner."""
    expect(page.locator("#signature")).to_be_visible(timeout=ANSWER)
    return page.locator("#runner")


def call(page, number):
    page.get_by_role("button", name="Run", exact=True).click()
    row = page.locator("#calls tbody tr").nth(number - 1)
    expect(row).to_be_visible(timeout=ANSWER)
    return row.locator("td").last.inner_text()


def test_a_pasted_log_is_explained_and_nothing_is_asked_of_another_host(fresh, page_address):
    opened(fresh)
    log = (LOGS / "2.21.0-slice-assign.txt").read_text("utf-8")
    paste(fresh, log)
    first = explain(log).matches[0]
    shown = answer(fresh, first.id)
    expect(shown).to_contain_text(first.message)
    expect(shown).to_be_focused()
    expect(fresh.locator("#status")).to_contain_text(first.id)
    link = shown.get_by_role("link", name=f"More about {first.id}").first
    link.click()
    expect(fresh.locator("h1")).to_have_text(first.id)
    hosts = {urlsplit(url).hostname for url in fresh.asked if not url.startswith("blob:")}
    assert hosts == {"127.0.0.1"}
    assert all(url.startswith((page_address, f"blob:{page_address}")) for url in fresh.asked)
    assert fresh.errors == []


class Open(Quiet):
    """Another host that would answer anybody."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@pytest.fixture
def another_host(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Open, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_not_even_python_reaches_another_host(visit, another_host):
    """The page's policy holds in its workers, which a server that sends no header leaves open."""
    for script in ("worker.js", "litert_runner.js"):
        refused = visit.evaluate(
            """async ({script, host}) => {
              const { WorkerClient } = await import("./worker_client.js");
              const lines = `fetch("${host}").then(() => postMessage("reached"),`
                + ` () => postMessage("refused"))`;
              const own = window.Worker;
              let made;
              window.Worker = class extends own { constructor(url) { super(url); made = url; } };
              const client = new WorkerClient(script, () => {});
              client.start();
              client.stop();
              window.Worker = own;
              if (!made.startsWith("blob:")) return "not from a blob";
              const worker = new Worker(URL.createObjectURL(new Blob([lines])));
              return new Promise((done) => { worker.onmessage = ({ data }) => done(data); });
            }""",
            {"script": script, "host": another_host},
        )
        assert refused == "refused"
    visit.errors[:] = [error for error in visit.errors if another_host not in error]


def test_offline_after_the_first_visit(fresh):
    opened(fresh)
    expect(fresh.locator("#status")).to_contain_text("without a network", timeout=START)
    fresh.context.set_offline(True)
    fresh.reload()
    expect(fresh.locator("#status")).to_contain_text("Ready", timeout=START)
    paste(fresh, "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op")
    answer(fresh, "unsupported-variable-dtype")
    give(fresh, EXAMPLES / "total.tflite")
    runs(fresh)
    assert call(fresh, 1) == "total [1, 1]"
    fresh.goto(f"{fresh.address}families/unwritten-output.html")
    expect(fresh.locator("h1")).to_have_text("unwritten-output")


def test_a_file_is_run_step_by_step_and_its_state_is_seen(visit, tmp_path):
    give(visit, EXAMPLES / "total.tflite")
    answer(visit, "ready")
    runner = runs(visit)
    runner.get_by_label("x (float32 [2])").fill("[1, 10]")
    total = Interpreter(str(EXAMPLES / "total.tflite")).get_signature_runner("step")
    for number in (1, 2, 3):
        expected = ", ".join(f"{value:g}" for value in total(x=np.float32([1, 10]))["total"])
        assert call(visit, number) == f"total [{expected}]"
    expect(visit.locator("#calls tbody tr")).to_have_count(3)
    expect(runner).to_contain_text("the file keeps a state")
    expect(visit.locator("#status")).to_contain_text("Call 3: total [3, 30]")
    runner.get_by_role("button", name="Reset").click()
    expect(visit.locator("#calls tbody tr")).to_have_count(4)
    assert call(visit, 5) == "total [1, 10]"
    runner.get_by_label("x (float32 [2])").fill("[1]")
    runner.get_by_role("button", name="Run", exact=True).click()
    expect(visit.locator("#status")).to_contain_text("2 numbers are wanted, and there are 1")


def test_the_state_is_lifted_and_the_file_downloaded(visit, tmp_path):
    give(visit, EXAMPLES / "total.tflite")
    runner = runs(visit)
    runner.get_by_role("button", name="Lift the state").click()
    link = runner.get_by_role("link", name="total_lifted.tflite")
    expect(link).to_be_focused(timeout=ANSWER)
    with visit.expect_download() as download:
        link.click()
    lifted = tmp_path / download.value.suggested_filename
    download.value.save_as(lifted)
    assert lifted.name == "total_lifted.tflite"
    assert not read_graph(lifted).variables
    step = Interpreter(str(lifted)).get_signature_runner()
    assert sorted(step.get_input_details()) == ["total_state", "x"]
    answered = step(x=np.float32([1, 2]), total_state=np.float32([5, 5]))
    assert answered["total_state"].tolist() == [6, 7]


# LiteRT.js as its own documentation uses it, without anything of the page's.
_BARE = """async ({bytes, x}) => {
  const {loadLiteRt, loadAndCompile, Tensor} = await import("./litert/index.js");
  await loadLiteRt("litert/wasm/");
  const model = await loadAndCompile(Uint8Array.from(bytes), {accelerator: "wasm"});
  const answers = await model.run(new Tensor(Float32Array.from(x), [x.length]));
  return [...answers[0].toTypedArray()];
}"""


@pytest.mark.parametrize("name", ["flex_tflite", "custom_tflite"])
def test_litert_js_answers_a_file_that_an_interpreter_refuses(fresh, specimen_path, name):
    """The family ``unwritten-output``: run() resolves, and only the console tells."""
    fresh.goto(fresh.address)
    content = specimen_path(name).read_bytes()
    x = [3.0, 1.0, 4.0, 1.0]
    with pytest.raises(RuntimeError, match="VarHandleOp"):
        Interpreter(model_content=content).allocate_tensors()
    got = fresh.evaluate(_BARE, {"bytes": list(content), "x": x})
    assert len(got) == 4 and got != x  # the first total is what came in
    printed = "\n".join(fresh.errors)
    assert "VarHandleOp) failed to prepare" in printed
    assert "unwritten-output" in [match.id for match in explain(printed).matches]


def test_litert_js_answers_a_file_that_it_can_run(fresh):
    """What the test above would see if all were well."""
    fresh.goto(fresh.address)
    content = (EXAMPLES / "total.tflite").read_bytes()
    assert fresh.evaluate(_BARE, {"bytes": list(content), "x": [3, 1]}) == [3, 1]


def saved_rows(tf, folder):
    """A model of a size that is open, as Keras leaves the batch."""
    rows = tf.Module()
    rows.scale = tf.Variable([[2.0, 3.0]])
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    rows.call = tf.function(lambda x: {"y": x * rows.scale}, input_signature=[spec])
    tf.saved_model.save(rows, folder, signatures=rows.call)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


def test_a_file_with_an_open_batch_runs_with_one_row(visit, tmp_path, tf):
    path = tmp_path / "rows.tflite"
    path.write_bytes(saved_rows(tf, tmp_path / "saved"))
    give(visit, path)
    runner = runs(visit)
    runner.get_by_label("x (float32 [1, 2])").fill("[1, 10]")
    assert call(visit, 1) == "y [2, 30]"
    expect(runner).to_contain_text("It leaves sizes open")


def test_of_two_files_the_later_one_runs(visit, tmp_path, tf):
    """The first is still being tried when the second is given."""
    slow = tf.Module()
    slow.weights = tf.Variable(tf.ones([2000, 2000]))
    spec = tf.TensorSpec([1, 2000], tf.float32, name="x")
    slow.call = tf.function(lambda x: {"y": x @ slow.weights}, input_signature=[spec])
    tf.saved_model.save(slow, tmp_path / "saved", signatures=slow.call)
    path = tmp_path / "slow.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert())
    give(visit, path)
    expect(visit.locator("#answer-title")).to_contain_text("slow.tflite", timeout=ANSWER)
    give(visit, EXAMPLES / "total.tflite")
    expect(visit.locator("#status")).to_contain_text("It runs below", timeout=ANSWER)
    visit.wait_for_timeout(1000)
    assert call(visit, 1) == "total [1, 1]"


def test_the_end_of_a_detector_runs(visit, specimen_path):
    """A custom op that LiteRT.js has a kernel for, called with ones as the page offers them."""
    path = specimen_path("detection_tflite")
    give(visit, path)
    answer(visit, "ready")
    runs(visit)
    call(visit, 1)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    for given in interpreter.get_input_details():
        interpreter.set_tensor(given["index"], np.ones(given["shape"], np.float32))
    interpreter.invoke()
    count = interpreter.get_tensor(interpreter.get_output_details()[3]["index"])
    expect(visit.locator("#calls")).to_contain_text(f"[{count[0]:.0f}]")


@pytest.mark.parametrize("name", ["flex_total.tflite"])
def test_what_litert_js_cannot_run_is_refused_in_words(visit, name):
    give(visit, EXAMPLES / name)
    answer(visit, "flex-variable")
    runner = visit.locator("#runner")
    expect(runner).to_contain_text("This page does not run the file", timeout=ANSWER)
    expect(runner).to_contain_text("FlexVarHandleOp")
    assert runner.get_by_role("button", name="Run", exact=True).count() == 0


def test_a_saved_model_as_a_zip_and_as_a_folder(visit, tmp_path):
    give(visit, EXAMPLES / "float16_total.zip")
    shown = answer(visit, "float16_total.zip")
    expect(shown).to_contain_text("unsupported-variable-dtype", timeout=ANSWER)
    expect(shown).to_contain_text("varhandle cure float16_total.zip model.tflite")
    expect(shown).to_contain_text("What comes next")
    assert "AssignVariableOp" in shown.locator("figure img").get_attribute("alt")
    with zipfile.ZipFile(EXAMPLES / "float16_total.zip") as archive:
        archive.extractall(tmp_path)
    visit.locator("#folder").set_input_files(str(tmp_path / "float16_total"))
    expect(shown).to_contain_text("varhandle cure float16_total model.tflite", timeout=ANSWER)
    assert visit.locator("#runner").is_hidden()


def drop(page, *paths):
    """Drop files or folders, as the system's file manager does."""
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#drop").bounding_box()
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    mouse = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        told = {"type": kind, "x": box["x"] + 50, "y": box["y"] + 30, "data": data}
        mouse.send("Input.dispatchDragEvent", told)


def test_what_is_dropped_is_read(visit, tmp_path):
    with zipfile.ZipFile(EXAMPLES / "float16_total.zip") as archive:
        archive.extractall(tmp_path)
    drop(visit, EXAMPLES / "total.tflite")
    expect(visit.locator("#answer-title")).to_have_text("What total.tflite shows", timeout=ANSWER)
    drop(visit, tmp_path / "float16_total")
    expect(visit.locator("#answer-title")).to_have_text("What float16_total shows", timeout=ANSWER)
    answer(visit, "unsupported-variable-dtype")
    drop(visit, EXAMPLES / "total.tflite", EXAMPLES / "flex_total.tflite")
    expect(visit.locator("#status")).to_have_text("These are several models. Give one at a time.")
    drop(visit, EXAMPLES / "float16_total.log")
    expect(visit.locator("#answer-title")).to_have_text("What the message says", timeout=ANSWER)
    answer(visit, "unsupported-variable-dtype")


def test_what_is_no_model_is_said_in_a_line(visit, tmp_path):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    give(visit, path)
    shown = answer(visit, "holiday.jpg")
    expect(shown.locator(".panel")).to_have_count(1)
    assert "Traceback" not in shown.inner_text()


HOSTILE = "</title><img src=x onerror=alert(1)><script>alert(2)</script>"


def test_names_out_of_a_file_do_nothing(visit, tmp_path):
    """Names are the choice of whoever made the file: here of tensors, and of the file itself."""
    content = (EXAMPLES / "total.tflite").read_bytes()
    tag = b"<img src=x onerror=a()>"
    assert content.count(b"StatefulPartitionedCall:0") == 1
    hostile = content.replace(b"StatefulPartitionedCall:0", tag.ljust(25, b">"))
    path = tmp_path / "<img src=x onerror=alert(1)>.tflite"
    path.write_bytes(hostile)
    dialogs = []
    visit.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    give(visit, path)
    runs(visit)
    assert visit.locator("#answer img[src=x], #runner img").count() == 0
    paste(visit, f"error: 'tf.VarHandleOp' op is neither a custom op nor a flex op {HOSTILE}")
    answer(visit, "What to do")
    assert visit.locator("#answer script, #answer img[src=x]").count() == 0
    assert dialogs == []
    visit.errors[:] = []


def test_a_large_file_does_not_freeze_the_page(visit, tmp_path, tf):
    """50 MB in a file: frames go on being drawn, and there is a word about what happens."""
    weights = tf.constant(np.random.default_rng(0).normal(size=(3600, 3600)).astype("float32"))
    function = tf.function(
        lambda x: {"y": tf.matmul(x, weights)},
        input_signature=[tf.TensorSpec([1, 3600], tf.float32, name="x")],
    )
    concrete = function.get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    assert len(content) > 50e6
    path = tmp_path / "large.tflite"
    path.write_bytes(content)
    visit.evaluate(
        """() => {
          window.frames_drawn = []; window.lines = [];
          const beat = (now) => { window.frames_drawn.push(now); requestAnimationFrame(beat); };
          requestAnimationFrame(beat);
          const status = document.getElementById("status");
          new MutationObserver(() => window.lines.push(status.textContent))
            .observe(status, {childList: true});
        }"""
    )
    give(visit, path)
    answer(visit, "large.tflite")
    runs(visit)
    gaps = visit.evaluate(
        "window.frames_drawn.slice(1).map((now, at) => now - window.frames_drawn[at])"
    )
    lines = visit.evaluate("window.lines")
    assert any(line.startswith("Reading") for line in lines)
    # A frozen page draws nothing for as long as the work takes; a busy machine skips some frames.
    assert max(gaps) < 0.5 * sum(gaps)
    assert sum(gap for gap in gaps if gap > 1000) < 0.5 * sum(gaps)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, pictures, scheme):
    visit.emulate_media(color_scheme=scheme)
    give(visit, EXAMPLES / "total.tflite")
    runs(visit)
    call(visit, 1)
    visit.locator("#runner").get_by_role("button", name="Lift the state").click()
    expect(visit.get_by_role("link", name="total_lifted.tflite")).to_be_visible(timeout=ANSWER)
    for details in visit.locator("details").all():
        details.evaluate("(one) => { one.open = true }")
    assert faults(visit, None, wcag_only=False) == []
    visit.screenshot(path=str(pictures / f"page-{scheme}.png"), full_page=True)
    give(visit, EXAMPLES / "flex_total.tflite")
    expect(visit.locator("#runner")).to_contain_text("does not run", timeout=ANSWER)
    assert faults(visit, None, wcag_only=False) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(visit, pictures):
    visit.set_viewport_size({"width": 390, "height": 844})
    give(visit, EXAMPLES / "float16_total.zip")
    answer(visit, "unsupported-variable-dtype")
    assert visit.evaluate("document.documentElement.scrollWidth") <= 390
    give(visit, EXAMPLES / "total.tflite")
    runs(visit)
    call(visit, 1)
    assert visit.evaluate("document.documentElement.scrollWidth") <= 390
    visit.screenshot(path=str(pictures / "page-phone.png"), full_page=True)


def test_by_keyboard_alone(visit):
    visit.locator("h1").click()
    visit.keyboard.press("Tab")
    expect(visit.locator("#log")).to_be_focused()
    visit.keyboard.insert_text("error: 'tf.VarHandleOp' op is neither a custom op nor a flex op")
    visit.keyboard.press("Tab")
    expect(visit.get_by_role("button", name="Explain it")).to_be_focused()
    visit.keyboard.press("Enter")
    answer(visit, "unsupported-variable-dtype")
    expect(visit.locator("#answer")).to_be_focused()
    visit.get_by_role("button", name="Open the file that works, and run it").focus()
    visit.keyboard.press("Enter")
    runs(visit)
    visit.locator("#signature").focus()
    for _ in range(2):
        visit.keyboard.press("Tab")
    expect(visit.get_by_role("button", name="Run", exact=True)).to_be_focused()
    visit.keyboard.press("Enter")
    expect(visit.locator("#calls tbody tr")).to_have_count(1, timeout=ANSWER)
    expect(visit.get_by_role("button", name="Run", exact=True)).to_be_focused()


def test_the_tour_leads_from_the_error_to_the_lifted_state(visit):
    visit.get_by_role("button", name="Explain this message").click()
    for step, words in enumerate(
        ["unsupported-variable-dtype", "float16_total.zip", "flex-variable", "total.tflite"],
        start=1,
    ):
        shown = answer(visit, f"Step {step} of 5")
        expect(shown).to_contain_text(words)
        lead = visit.get_by_role("button", name=re.compile("^Next: "))
        expect(lead).to_be_visible(timeout=ANSWER)
        lead.click()
    answer(visit, "Step 5 of 5")
    expect(runs(visit)).to_contain_text("no state to lift")
    for number in (1, 2):
        call(visit, number)
    expect(visit.locator("#runner")).to_contain_text("answered alike")


def test_opened_as_a_file_it_says_what_to_do(chromium, page_folder):
    context = chromium.new_context()
    page = context.new_page()
    page.goto((page_folder / "index.html").as_uri())
    expect(page.locator("#status")).to_contain_text("python -m http.server")
    context.close()


def test_a_newer_page_is_taken_on_the_visit_after(chromium, page_folder, tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(page_folder, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    wait_until(page, "navigator.serviceWorker.controller !== null")
    index, listed = folder / "index.html", folder / "files.json"
    index.write_text(index.read_text("utf-8").replace("wrong with my model?", "new here?"), "utf-8")
    told = json.loads(listed.read_text())
    listed.write_text(json.dumps({**told, "version": "newer"}))
    page.reload()
    wait_until(page, "caches.keys().then((all) => all.length === 1 && all[0].endsWith('newer'))")
    page.reload()
    expect(page.locator("h1")).to_contain_text("new here?")
    context.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_beside_the_page(fresh, path):
    """Reached by its link, every cell is run; it prints what is stored, and asks nobody else.

    A phone has room for it.
    """
    missing = []
    fresh.context.on("response", lambda got: got.status >= 400 and missing.append(got.url))
    fresh.set_viewport_size({"width": 1280, "height": 8000})  # what is out of view is not drawn
    opened(fresh)
    fresh.locator(f'a[href$="{path.name}"]').click()
    cells = nbformat.read(path, as_version=4).cells
    stored = [output for cell in cells for output in cell.get("outputs", ())]
    count = sum(cell.cell_type == "code" for cell in cells)
    expect(fresh.locator(".jp-Notebook .jp-CodeCell")).to_have_count(count, timeout=START)
    expect(fresh.locator(IDLE)).to_be_attached(timeout=START)
    fresh.get_by_role("menuitem", name="Run", exact=True).click()
    fresh.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = [f"[{number}]:" for number in range(1, count + 1)]
    expect(fresh.locator(".jp-CodeCell .jp-InputPrompt")).to_have_text(prompts, timeout=START)
    printed = fresh.locator('[data-mime-type="application/vnd.jupyter.stdout"]')
    expect(printed).to_have_count(sum(one.output_type == "stream" for one in stored))
    assert printed.all_text_contents() == [o.text for o in stored if o.output_type == "stream"]
    shown = fresh.locator('[data-mime-type="text/html"]')
    expect(shown).to_have_count(sum(one.output_type == "execute_result" for one in stored))
    cell = next(c for c in cells if c.id.startswith("predict-"))
    asked_first = fresh.locator(".jp-CodeCell", has_text=cell.source.splitlines()[-1])
    asked_first.get_by_role("radio").first.check()
    expect(asked_first).to_contain_text("Noted. Run the next cell")
    # The one that may be missing is favicon.ico, which the browser asks for by itself.
    missing = [url for url in missing if not url.endswith("/favicon.ico")]
    assert [text for text in fresh.errors if "404" not in text] == missing == []
    asked = [url for url in fresh.asked if not url.startswith(("blob:", "data:"))]
    assert any("/lite/static/pyodide/pyodide.asm.wasm" in url for url in asked)
    assert all(url.startswith(fresh.address) for url in asked)
    fresh.set_viewport_size({"width": 390, "height": 844})
    wait_until(
        fresh,
        "(() => { const box = document.querySelector('.jp-MarkdownOutput').getBoundingClientRect();"
        " return box.left >= 0 && box.width > 300 && box.right <= innerWidth; })()",
    )
    asked_first.scroll_into_view_if_needed()
    labels = asked_first.locator("label:has(input)").all()
    assert len(labels) == 3
    for label in labels:  # an option that wraps has room below it
        assert label.evaluate("label => label.scrollHeight <= label.clientHeight")
