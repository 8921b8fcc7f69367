"""The tool in a real Jupyter Server, below a base URL and behind a token."""

import http.cookiejar
import json
import re
import shutil
import signal
import urllib.error
import urllib.request
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from ai_edge_litert.interpreter import Interpreter
from jupyter_servers import TOKEN, started_server

from varhandle.facts.recipes import RECIPES
from varhandle.facts.targets import find_target
from workbook_lib.locations import data_path

MARKUP = "<img src=x onerror=alert(1)>.tflite"


@pytest.fixture(scope="module")
def server(tmp_path_factory, counting_file, specimen_path):
    """A server, models below its root, and what it must not open."""
    server = started_server(tmp_path_factory.mktemp("home"), "varhandle.jupyter", "varhandle/")
    root = server.root
    (root / "models").mkdir()
    (root / "models" / "né w.tflite").write_bytes(counting_file)
    (root / MARKUP).write_bytes(counting_file)
    (root / "damaged.tflite").write_bytes(counting_file[:40])
    shutil.copytree(data_path("half_reader"), root / "half")
    (root / "models" / "none").mkdir()
    shutil.copytree(data_path("half_reader"), root / "models" / "half")
    shutil.copy(specimen_path("lambda_keras"), root / "lambda.keras")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "m.tflite").write_bytes(counting_file)
    (root / ".m.tflite").write_bytes(counting_file)
    (root / "code.py").write_text("def calls():\n    return []\n")
    # On the path of nobody: a run does not begin in the folder of the models.
    (root / "numpy.py").write_text("raise SystemExit('the wrong NumPy')\n")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.tflite").write_bytes(counting_file)
    (root / "link.tflite").symlink_to(outside / "secret.tflite")
    (root / "out").symlink_to(outside)
    linked = root / "linked"
    linked.mkdir()
    (linked / "saved_model.pb").symlink_to(data_path("half_reader") / "saved_model.pb")
    yield server
    server.stop()


def answers(answer):
    """All that a run has said, a dictionary each."""
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines() if line]


def ask(server, verb, **told):
    return server.get(verb, method="POST", body=told)


def error_of(answer):
    """The one line of a refusal."""
    error = json.loads(answer.body)["error"]
    assert "\n" not in error
    assert error.isprintable()
    return answer.status, error


def tools(server):
    """The processes of the tool below a server, and those that they have started."""
    found = []
    for process in psutil.Process(server.process.pid).children():
        if any("varhandle.jupyter" in word for word in process.cmdline()):
            found += [process, *process.children(recursive=True)]
    return found


def pause(processes):
    """Stop what the tool has started: it waits for that, and does not end by itself meanwhile."""
    for process in processes[1:]:
        process.suspend()


def wait_until_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def begun(server):
    """Begin a diagnosis that takes some seconds: its answer, its id, and its processes."""
    request = server.request("diagnose", method="POST", body={"path": "half"})
    answer = urllib.request.urlopen(request, timeout=120)
    run = json.loads(answer.readline())["run"]
    assert "progress" in json.loads(answer.readline())  # it is under way
    processes = tools(server)
    assert len(processes) > 1
    yield answer, run, processes
    answer.close()
    assert wait_until_gone(processes)


def test_a_diagnosis_is_a_report_and_says_what_it_is_at(server):
    first, *progress, last = answers(ask(server, "diagnose", path="/models/né w.tflite/"))
    assert re.fullmatch(r"[\w-]{22}", first["run"])
    assert {"progress"} == set().union(*progress)
    assert last["verdict"] == "ready"
    assert "né w.tflite" in last["report"]
    assert "<script" not in last["report"]


def test_a_saved_model_is_found_by_its_file(server):
    """By its folder, a cure finds it below."""
    *progress, last = answers(ask(server, "diagnose", path="half/saved_model.pb"))
    assert last["verdict"] == "blocked"
    assert {"progress": "converting"} in progress
    assert "unsupported-variable-dtype" in last["report"]


def test_a_name_never_becomes_markup(server):
    *_, last = answers(ask(server, "diagnose", path=MARKUP))
    assert "&lt;img src=x onerror=alert(1)&gt;.tflite" in last["report"]
    assert "<img" not in last["report"]


def random_calls(model, number):
    numbers = np.random.default_rng(0)
    specs = model.structured_input_signature[1]
    for _ in range(number):
        yield {name: numbers.random(spec.shape, np.float32) for name, spec in specs.items()}


def test_a_cure_writes_a_file_that_answers_as_the_model(server, tf):
    *progress, last = answers(ask(server, "cure", path="half", output="models/cured.tflite"))
    assert (last["verdict"], last["file"], last["state"]) == ("cured", "models/cured.tflite", None)
    assert {"progress": "comparing with TensorFlow"} in progress
    model = tf.saved_model.load(str(server.root / "half")).signatures["serving_default"]
    runner = Interpreter(str(server.root / "models" / "cured.tflite")).get_signature_runner()
    for call in random_calls(model, 3):
        wanted = model(**{name: tf.constant(value) for name, value in call.items()})
        given = runner(**call)
        assert given.keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_allclose(given[name], value.numpy(), rtol=1e-2, atol=1e-3)


def test_a_refused_recipe_and_a_damaged_file_are_a_line_each(server):
    *_, last = answers(ask(server, "cure", path="half", output="o.tflite", quantization="int9"))
    assert last["error"].startswith("half: no recipe 'int9'; there are: 'float32',")
    *_, last = answers(ask(server, "diagnose", path="damaged.tflite"))
    assert last["error"].startswith("damaged.tflite:")
    assert "\n" not in last["error"]
    assert not (server.root / "o.tflite").exists()


def test_code_of_a_model_runs_only_for_whoever_says_so(server):
    told = {"path": "lambda.keras", "output": "lambda.tflite"}
    for trust in ({}, {"trust": "yes"}, {"trust": 1}):
        *_, last = answers(ask(server, "cure", **told, **trust))
        assert last["untrusted"]
        assert "brings code along" in last["error"]
        assert "--trust" not in last["error"]
    assert not (server.root / "lambda.tflite").exists()
    *_, last = answers(ask(server, "cure", **told, trust=True))
    assert last["verdict"] in ("cured", "unproved")
    assert (server.root / "lambda.tflite").is_file()


OUTSIDE = (
    "../outside/secret.tflite",
    "models/../../outside/secret.tflite",
    "link.tflite",
    "out/secret.tflite",
    "linked",
    "etc/passwd",
)
HIDDEN = (".m.tflite", ".hidden/m.tflite")
NOTHING = ("nothing.tflite", "", None, 7, ["half"], "a\0b", "a" * 300, "a\nb")


@pytest.mark.parametrize("path", [*OUTSIDE, *HIDDEN, *NOTHING])
def test_what_is_elsewhere_hidden_or_not_there_is_refused(server, path):
    status, error = error_of(ask(server, "diagnose", path=path))
    assert status == 400, error
    status, _ = error_of(ask(server, "cure", path=path, output="new.tflite"))
    assert status == 400
    if isinstance(path, str):
        assert error_of(server.get(f"cure?path={quote(path, safe='')}"))[0] == 400
    assert not tools(server)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("../new.tflite", "hidden, or outside"),
        ("out/new.tflite", "leads out of the folder"),
        (".new.tflite", "hidden"),
        ("new.keras", "must end with .tflite"),
        ("damaged.tflite", "it is there already"),
        ("none/new.tflite", "there is no such folder"),
        ("", "its path is missing"),
    ],
)
def test_where_no_file_is_written(server, output, reason):
    status, error = error_of(ask(server, "cure", path="half", output=output))
    assert (status, reason in error) == (400, True), error


@pytest.mark.parametrize("inputs", ["code.py:calls", "code.py", "os:listdir", "../outside"])
def test_inputs_are_data(server, inputs):
    status, error = error_of(ask(server, "cure", path="half", output="n.tflite", inputs=inputs))
    assert status == 400, error


def test_what_is_no_object_is_refused(server):
    for body in ([], "half", None):
        assert server.get("diagnose", method="POST", body=body).status == 400


def test_nothing_without_a_login(server):
    for token in (None, "wrong"):
        for path, method in (
            ("diagnose", "POST"),
            ("cure", "POST"),
            ("cure?path=half", "GET"),
            ("models", "GET"),
            ("runs/x", "DELETE"),
        ):
            assert server.get(path, token, method, {"path": "half"}).status == 403, path


def test_nothing_is_started_from_another_site(server):
    """With the cookie of a login alone, which a browser sends along for whoever asks."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"{server.address}/user/ada/login").close()  # gives the token against it
    browser.open(f"{server.address}/user/ada/api/contents?token={TOKEN}").close()
    token = next(cookie.value for cookie in jar if cookie.name == "_xsrf")
    request = server.request("diagnose", None, "POST", {"path": "models/né w.tflite"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        browser.open(request)
    assert refused.value.code == 403
    request = server.request(
        "diagnose", None, "POST", {"path": "models/né w.tflite"}, **{"X-XSRFToken": token}
    )
    with browser.open(request) as answer:
        assert json.loads(answer.readlines()[-1])["verdict"] == "ready"


def test_nobody_without_the_right_to_write_contents(tmp_path, counting_file, monkeypatch):
    (tmp_path / "rights.py").write_text(
        "from jupyter_server.auth.authorizer import Authorizer\n"
        "class OnlyRead(Authorizer):\n"
        "    def is_authorized(self, handler, user, action, resource):\n"
        "        return (action, resource) != ('write', 'contents')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "home").mkdir()
    rights = "--ServerApp.authorizer_class=rights.OnlyRead"
    server = started_server(tmp_path / "home", "varhandle.jupyter", "varhandle/", rights)
    try:
        (server.root / "m.tflite").write_bytes(counting_file)
        assert ask(server, "diagnose", path="m.tflite").status == 403
        assert ask(server, "cure", path="m.tflite", output="n.tflite").status == 403
        assert server.get("runs/x", method="DELETE").status == 403
        assert server.get("cure?path=m.tflite").status == 200
    finally:
        server.stop()


def test_one_run_at_a_file(server, begun):
    status, error = error_of(ask(server, "diagnose", path="half"))
    assert (status, error) == (409, "half: another panel is at work on it: wait for that")
    assert ask(server, "cure", path="half", output="n.tflite").status == 409
    *_, last = answers(ask(server, "diagnose", path="models/né w.tflite"))  # another file
    assert last["verdict"] == "ready"


def test_cancel_ends_the_run_and_all_that_it_has_started(server, begun):
    answer, run, processes = begun
    assert server.get(f"runs/{run[:-1]}x", method="DELETE").status == 404
    assert server.get(f"runs/{run}", method="DELETE").status == 204
    last = json.loads(answer.readlines()[-1])
    assert last == {"error": "the run ended without an answer: it was canceled"}
    assert wait_until_gone(processes)
    assert server.get(f"runs/{run}", method="DELETE").status == 404
    # The file is free again.
    request = server.request("diagnose", method="POST", body={"path": "half"})
    with urllib.request.urlopen(request, timeout=60) as again:
        assert "run" in json.loads(again.readline())


def test_a_closed_window_ends_the_run(begun):
    answer, _, processes = begun
    pause(processes)
    answer.close()
    assert wait_until_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_run_outlives_its_server(tmp_path, number):
    home = tmp_path / "home"
    home.mkdir()
    server = started_server(home, "varhandle.jupyter", "varhandle/")
    shutil.copytree(data_path("half_reader"), server.root / "half")
    request = server.request("diagnose", method="POST", body={"path": "half"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.readline()
        assert "progress" in json.loads(answer.readline())
        processes = tools(server)
        assert len(processes) > 1
        pause(processes)
        server.process.send_signal(number)
        server.process.wait(timeout=30)
        assert wait_until_gone(processes)


def test_a_run_that_dies_says_so(server, begun):
    answer, _, (process, *_) = begun
    process.kill()
    last = json.loads(answer.readlines()[-1])
    assert last == {"error": "the run ended without an answer: exit code -9"}


def test_the_form_offers_what_there_is(server):
    form = json.loads(server.get("cure?path=half").body)
    assert [one["id"] for one in form["targets"]][:3] == ["litert", "builtin-only", "micro"]
    assert all(find_target(one["id"]).name == one["name"] for one in form["targets"])
    assert [one["name"] for one in form["recipes"]] == [n for n in RECIPES if n != "float32"]
    assert form["output"] == "half.tflite"
    of_a_file = json.loads(server.get(f"cure?path={quote('models/né w.tflite')}").body)
    assert {one["name"] for one in of_a_file["recipes"]} == {
        name for name, recipe in RECIPES.items() if recipe.fits_tflite
    }
    assert of_a_file["output"] == "models/né w-cured.tflite"


def test_the_name_that_is_offered_is_free(server):
    (server.root / "half.state.npz").write_bytes(b"")
    try:
        for path in ("half", "half/saved_model.pb"):
            assert json.loads(server.get(f"cure?path={path}").body)["output"] == "half-cured.tflite"
    finally:
        (server.root / "half.state.npz").unlink()


def test_which_folders_are_models(server):
    assert json.loads(server.get("models?path=").body) == {"folders": ["half", "linked"]}
    assert json.loads(server.get("models?path=models").body) == {"folders": ["half"]}
    for path in ("..", "out", ".hidden", "nothing", "damaged.tflite"):
        assert json.loads(server.get(f"models?path={path}").body) == {"folders": []}
