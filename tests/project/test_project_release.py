"""What a release says of itself: one version, the same words, packages that are whole."""

import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml

from workbook_lib.locations import project_root

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = project_root()
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))]
PROJECTS = {
    told["name"]: told
    for folder in FOLDERS
    for told in [tomllib.loads((folder / "pyproject.toml").read_text())["project"]]
}
VERSION = PROJECTS["varhandle-workbook"]["version"]


def test_all_packages_have_one_version_and_the_same_pythons():
    assert {told["version"] for told in PROJECTS.values()} == {VERSION}
    (pythons,) = {told["requires-python"] for told in PROJECTS.values()}
    low, high = (int(part) for part in re.fullmatch(r">=3\.(\d+),<3\.(\d+)", pythons).groups())
    named = {f"Programming Language :: Python :: 3.{minor}" for minor in range(low, high)}
    for name, told in PROJECTS.items():
        own = {one for one in told["classifiers"] if re.search(r":: 3\.\d+$", one)}
        assert own == named, name


def test_the_newest_entry_of_the_changelog_is_this_version():
    headings = re.findall(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == VERSION
    assert len(set(headings)) == len(headings)


def test_the_citation_is_of_this_version_and_license():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert told["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type"} <= set(told)
    assert str(told["version"]) == VERSION
    assert (ROOT / "README.md").read_text().startswith(f"# {told['title']}\n")
    assert told["license"] == PROJECTS["varhandle-workbook"]["license"]
    (author,) = told["authors"]
    assert author["name"] in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("folder", FOLDERS[1:], ids=lambda folder: folder.name)
def test_each_package_brings_the_license(folder):
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build as ``make dist`` does: each sdist, and each wheel out of its sdist."""
    out = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_what_the_packages_say_of_themselves_passes_twine(built):
    files = sorted(map(str, built.iterdir()))
    assert len(files) == 2 * len(FOLDERS)
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == len(files)


def test_an_sdist_holds_its_sources_and_no_clutter(built):
    for path in built.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        assert {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"} <= set(names), path.name
        clutter = ("__pycache__", ".venv", "workbook-output", ".ipynb_checkpoints")
        assert not [name for name in names if any(part in name for part in clutter)], path.name


def test_a_wheel_out_of_an_sdist_has_all_files_of_the_package(built):
    package = ROOT / "packages" / "varhandle" / "src"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "varhandle"]
    done = subprocess.run(listed, cwd=package, capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.splitlines() if "/tests/" not in name}
    (wheel,) = built.glob("varhandle-0*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert ours - names == set()


def test_an_sdist_installs(built, tmp_path):
    """The others need what pip would download; this one is taken as it is."""
    (sdist,) = built.glob("varhandle-0*.tar.gz")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(tmp_path)]
    subprocess.run([*pip, *options, str(sdist)], check=True, capture_output=True)
    command = [sys.executable, "-c", "import varhandle; print(varhandle.__file__)"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
