"""A sweep on a real Dask cluster: a scheduler and two workers, one of which is killed half way."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sweep_probe
from sweep_probe import Probe, ProbeMaker, until

from varhandle.extras import MissingExtraError
from varhandle.sweep.row_specs import SweepInputError, rows_of_models
from varhandle.sweep.run import connect, run_sweep

pytest.importorskip("distributed")


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its two workers as processes."""
    address = f"tcp://127.0.0.1:{free_port()}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    support = str(Path(sweep_probe.__file__).parent)  # the workers import the maker
    quiet["env"] = {**os.environ, "PYTHONPATH": support}
    port = address.rpartition(":")[2]
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, "--port", port]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    worker += ["--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
    processes = [subprocess.Popen(command, **quiet) for command in (scheduler, worker, worker)]
    with connect(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


def test_a_killed_worker_costs_no_row_and_doubles_none(cluster, tmp_path):
    address, workers = cluster
    probe = Probe(tmp_path)
    flag = tmp_path / "flag"
    models = [
        probe.model("held.tflite", until=str(flag)),
        probe.model("also held.tflite", until=str(flag), act="leave"),
        probe.model("good.tflite", verdict="blocked"),
        probe.model("abort.tflite", act="abort"),
    ]
    results = []

    def sweep():
        specs = rows_of_models(models)
        made = run_sweep(specs, tmp_path / "out", maker=ProbeMaker(), scheduler=address)
        results.append(made)

    thread = threading.Thread(target=sweep)
    thread.start()
    until(lambda: len(probe.left_behind()) == 2)
    workers[0].kill()
    until(lambda: len(probe.left_behind()) == 1)  # the kernel goes with its worker
    flag.touch()
    thread.join(120)
    (result,) = results
    assert [row.verdict for row in result.rows] == ["ready", "ready", "blocked", "crashed"]
    assert sorted(name.partition(".")[0] for name in probe.counted("ended")) == [
        "also held",
        "good",
        "held",
    ]
    assert len(probe.counted("began")) == 4 + 1  # one was half done
    assert probe.left_behind() == []
    assert (tmp_path / "out" / "sweep.csv").read_text().count("\n") == 1 + 4


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "nonsense", "carrier-pigeon://here:1", ""]
)
def test_an_address_where_no_scheduler_answers_is_refused(address):
    with pytest.raises(SweepInputError, match=f"^{address}: no scheduler answers"):
        connect(address, timeout=1)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'distributed: pip install "varhandle\[sweep\]"'):
        connect("tcp://127.0.0.1:1")
