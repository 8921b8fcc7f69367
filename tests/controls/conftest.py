"""A kernel that somebody looks at, for controls that are not drawn otherwise."""

import types

import pytest


@pytest.fixture
def watched(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr("IPython.get_ipython", lambda: types.SimpleNamespace(kernel=object()))
