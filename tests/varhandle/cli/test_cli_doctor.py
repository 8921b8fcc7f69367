"""``varhandle doctor``: what is installed, read from what the packages say of themselves."""

import os
import shlex
import subprocess
import sys
from importlib import metadata

import pytest
from json_forms import check_form
from packaging.specifiers import SpecifierSet
from printed_code import ran

from varhandle import diagnose, installation
from varhandle.cli import main
from varhandle.installation import fits

# What is asked for is here already: nothing is looked for, fetched or changed.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DRY_RUN": "1"}


def run_pip(advice):
    """Run the command that ends a line of advice."""
    command = advice[advice.index("pip install") :]
    told = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(told, env={**os.environ, **OFFLINE}, capture_output=True, check=False)
    assert not done.returncode, done.stderr
    ran(command)


def doctor(capsys):
    code = main(["doctor", "--json"])
    found = check_form("doctor", capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    return {part["what"]: part for part in found["parts"]}


def test_this_environment_fits_together(capsys):
    parts = doctor(capsys)
    for what, name in (("TensorFlow", "tensorflow"), ("LiteRT", "ai-edge-litert")):
        assert parts[what] == {
            "what": what,
            "found": metadata.version(name),
            "status": "ok",
            "advice": "",
        }
    assert {"Python", "Keras", "quantizer", "lock"} <= set(parts)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("it fits together\n")


@pytest.fixture
def installed(monkeypatch):
    """Say that other releases are installed; ``None``: none is."""

    def say(**versions):
        real = metadata.version

        def version(name):
            found = versions.get(name.replace("-", "_"), real)
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found if isinstance(found, str) else real(name)

        monkeypatch.setattr(installation.metadata, "version", version)

    return say


def test_an_old_tensorflow_is_wrong_and_the_range_is_ours(installed, capsys):
    installed(tensorflow="2.15.1")
    part = doctor(capsys)["TensorFlow"]
    assert (part["found"], part["status"]) == ("2.15.1", "wrong")
    assert part["advice"].endswith('pip install --upgrade "varhandle[tensorflow]"')
    (ours,) = [r for r in metadata.requires("varhandle") if r.startswith("tensorflow")]
    assert part["advice"].split(" is needed")[0] in ours
    run_pip(part["advice"])


def test_an_extra_may_be_missing_and_the_interpreter_may_not(installed, capsys):
    installed(tensorflow=None, keras=None, ai_edge_quantizer=None)
    parts = doctor(capsys)
    missing = {what for what, part in parts.items() if part["status"] == "missing"}
    assert missing >= {"TensorFlow", "Keras", "quantizer"}
    assert 'pip install "varhandle[tensorflow]"' in parts["TensorFlow"]["advice"]
    run_pip(parts["TensorFlow"]["advice"])
    assert main(["doctor"]) == 0
    capsys.readouterr()
    installed(ai_edge_litert=None)
    assert doctor(capsys)["LiteRT"]["status"] == "wrong"


def test_what_another_package_asks_for_is_looked_at(installed, capsys):
    """TensorFlow wants an h5py below 3.15, which our own range does not say."""
    (wanted,) = [r for r in metadata.requires("tensorflow") if r.startswith("h5py")]
    assert not SpecifierSet(wanted.removeprefix("h5py")).contains("3.99")
    installed(h5py="3.99")
    part = doctor(capsys)["h5py"]
    assert part["status"] == "wrong"
    assert part["advice"].startswith("tensorflow needs h5py ")
    run_pip(part["advice"])
    installed(protobuf="3.20")
    assert doctor(capsys)["protobuf"]["advice"].startswith(("varhandle needs", "tensorflow needs"))


@pytest.fixture
def brought(monkeypatch, installed):
    """Say which packages bring TensorFlow's module, and in which releases."""

    def say(**versions):
        names = [name.replace("_", "-") for name in versions]
        by_module = {**metadata.packages_distributions(), "tensorflow": names}
        monkeypatch.setattr(installation, "_distributions_by_module", lambda: by_module)
        installed(**versions)

    return say


def test_two_packages_of_one_module_are_wrong(brought, capsys):
    brought(tensorflow="2.21.0", tf_nightly="2.22.0.dev20260301")
    part = doctor(capsys)["TensorFlow"]
    assert part["status"] == "wrong"
    assert part["found"] == "tensorflow 2.21.0, tf-nightly 2.22.0.dev20260301"
    assert "uninstall tensorflow and tf-nightly, then pip install" in part["advice"]
    run_pip(part["advice"])


def test_a_package_of_another_name_is_what_it_brings(brought, capsys):
    brought(tensorflow_cpu=metadata.version("tensorflow"))
    part = doctor(capsys)["TensorFlow"]
    assert part["status"] == "ok"
    assert part["found"] == f"tensorflow-cpu {metadata.version('tensorflow')}"
    brought(tensorflow_cpu="2.15.0")
    assert doctor(capsys)["TensorFlow"]["status"] == "wrong"


def test_a_package_that_asks_for_nothing_fits(monkeypatch, capsys):
    real = metadata.requires
    assert real("numpy") is None
    monkeypatch.setattr(
        metadata, "requires", lambda name: real("numpy" if name == "ai-edge-litert" else name)
    )
    assert doctor(capsys)["LiteRT"]["status"] == "ok"


def test_what_does_not_fit_is_named_once(installed, capsys):
    installed(protobuf="3.20")
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.startswith("it does not fit together: protobuf\n")


def test_where_something_fails_what_does_not_fit_is_a_line(
    installed, monkeypatch, tmp_path, capsys
):
    log = tmp_path / "log"
    log.write_text("VarHandleOp")
    monkeypatch.setitem(sys.modules, "varhandle.explanation", None)
    with pytest.raises(ImportError):  # all fits, so it is a fault of ours
        main(["explain", str(log)])
    installed(protobuf="3.20")
    assert main(["explain", str(log)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("varhandle: import of varhandle.explanation halted")
    assert line.endswith("does not fit together (protobuf): run varhandle doctor")
    assert main(["doctor"]) == 1
    assert "protobuf" in capsys.readouterr().out
    ran("varhandle doctor")


def test_a_model_is_not_alone_to_blame_where_packages_do_not_fit(installed, specimen_path):
    path = specimen_path("ordinary_op_without_builtin")
    assert not any("doctor" in line for line in diagnose(path).other)
    installed(protobuf="3.20")
    first, *_ = diagnose(path).other
    assert first.endswith("does not fit together (protobuf): run varhandle doctor")


def test_a_python_that_does_not_fit(monkeypatch, capsys):
    monkeypatch.setattr(installation.platform, "python_version", lambda: "3.14.1")
    part = doctor(capsys)["Python"]
    assert (part["status"], part["found"]) == ("wrong", "3.14.1")


def test_a_kernel_without_a_lock_is_no_fault(monkeypatch, capsys):
    monkeypatch.setattr(installation, "why_no_lock", lambda: "there is none on Darwin")
    part = doctor(capsys)["lock"]
    assert (part["status"], part["found"]) == ("missing", "none (there is none on Darwin)")


VERSIONS = ["2.20.0", "2.21", "2.21.0", "2.21.1", "2.22.0", "3.0", "0.10.0", "1.0.1", "25.9.23"]
WANTED = ["", ">=2.21,<2.22", "==2.21.0", "==2.21.*", "!=2.21.1", "~=2.20.0", "~=2.20", ">1", "<=3"]


@pytest.mark.parametrize("wanted", WANTED)
def test_ranges_mean_what_packaging_says(wanted):
    assert [fits(v, wanted) for v in VERSIONS] == [
        SpecifierSet(wanted).contains(v) for v in VERSIONS
    ]
