"""What ships in data/: whole, listed with its origin, and as good as it is said to be."""

import hashlib
import json
import re
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

import varhandle
from data import train_classifier, train_fragile_classifier
from varhandle.matrix import version_matrix
from varhandle.sandbox import run_isolated
from workbook_lib.locations import data_path, project_root
from workbook_lib.samples import (
    article_claims,
    load_classifier,
    load_digits,
    load_fragile_classifier,
)

VERDICTS = {"holds", "holds in part", "does not hold"}


def test_every_file_is_listed_with_checksum_and_license():
    readme = data_path("README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| .+ \| (.+) \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE)
    listed = {name: (license, checksum) for name, license, checksum in rows}
    root = data_path("")
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    present = {
        name: path for name, path in files.items() if path.suffix not in {".md", ".py", ".pyc"}
    }
    assert set(listed) == set(present)
    for name, path in present.items():
        license, checksum = listed[name]
        assert license.strip()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum, name


def test_every_file_that_the_tool_ships_is_listed_with_its_license():
    folder = Path(varhandle.__file__).with_name("data")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^`]+)` \| .+ \| \S.* \|$", readme, re.MULTILINE)
    files = {f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()}
    assert {*listed, "README.md"} == files


def test_the_digits_are_the_uci_digits():
    """Against what the UCI page states: 1,797 images of 8x8, ink counts 0..16."""
    digits = load_digits()
    images = np.concatenate([digits.train_images, digits.test_images])
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0.0, 1.0)
    # The class sizes of UCI's own description of the test set.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_nothing_held_out_is_trained_on():
    digits = load_digits()
    trained = {image.tobytes() for image in digits.train_images}
    assert len(digits.test_images) == 360
    assert np.bincount(digits.test_labels).tolist() == [36] * 10
    assert not any(image.tobytes() in trained for image in digits.test_images)


def test_the_stored_classifier_is_right_on_more_than_96_percent(tf):
    model = load_classifier()
    digits = load_digits()
    right = tf.keras.metrics.sparse_categorical_accuracy(
        digits.test_labels, model(digits.test_images)
    )
    assert float(tf.reduce_mean(right)) > 0.96
    assert train_classifier.accuracy(model) == pytest.approx(float(tf.reduce_mean(right)))


@pytest.mark.parametrize("name", ["digits_classifier", "fragile_classifier"])
def test_every_keras_of_the_lock_can_read_the_stored_classifier(name):
    """A Keras reads the files of its forerunners only, and Python 3.10 gets an older one."""
    with zipfile.ZipFile(data_path(f"{name}.keras")) as file:
        stored = json.loads(file.read("metadata.json"))["keras_version"]
    lock = (project_root() / "requirements" / "lab.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^keras==([\d.]+)", lock, re.MULTILINE)
    assert Version(stored) <= min(map(Version, locked))


@pytest.mark.parametrize(
    ("script", "load", "least"),
    [
        (train_classifier, load_classifier, 0.96),
        (train_fragile_classifier, load_fragile_classifier, 0.94),
    ],
    ids=["classifier", "fragile"],
)
def test_the_script_rebuilds_a_classifier_as_good(tmp_path, tf, script, load, least):
    path = tmp_path / "rebuilt.keras"
    # In a process of its own: it makes all of TensorFlow deterministic, which cannot be undone.
    record = run_isolated(script.main, path, locked=False)
    assert record.ok, record.message
    rebuilt = tf.keras.models.load_model(path)
    assert train_classifier.accuracy(rebuilt) > least
    assert rebuilt.count_params() == load().count_params()


def test_claims_are_complete_and_their_proof_is_an_executed_cell():
    claims = article_claims()
    assert len({claim["id"] for claim in claims}) == len(claims) >= 8
    for claim in claims:
        assert claim["verdict"] in VERDICTS
        assert claim["claim"] and claim["note"]
        notebook = json.loads(
            (project_root() / "notebooks" / claim["proof"]["notebook"]).read_text(encoding="utf-8")
        )
        cells = {cell["id"]: cell for cell in notebook["cells"]}
        cell = cells[claim["proof"]["cell"]]
        assert cell["cell_type"] == "code"
        assert cell["outputs"], claim["id"]


def test_claims_are_in_our_own_words():
    """No run of eight words stands in the article too; skipped where that is not at hand."""
    article = project_root().parent / "shared" / "facts" / "article.txt"
    if not article.exists():
        pytest.skip("the article is not part of the repository")
    words = re.findall(r"\w+", article.read_text(encoding="utf-8").lower())
    runs = {tuple(words[start : start + 8]) for start in range(len(words))}
    for claim in article_claims():
        own = re.findall(r"\w+", claim["claim"].lower())
        assert not runs & {tuple(own[start : start + 8]) for start in range(len(own))}


def test_since_is_what_the_matrix_measured():
    releases = [entry for entry in version_matrix.load()["versions"] if entry["installed"]]
    for claim in article_claims():
        if "measured" not in claim:
            # A speed belongs to the machine and the net that it was measured with.
            is_speed = claim["id"] == "float16-faster"
            assert metadata.version("tensorflow").startswith(claim["since"])
            assert bool(claim["since"]) != is_speed
            continue
        case, outcome = claim["measured"]["case"], claim["measured"]["outcome"]
        first = next(e["version"] for e in releases if e["results"][case]["outcome"] == outcome)
        assert first.startswith(claim["since"] + "."), claim["id"]
