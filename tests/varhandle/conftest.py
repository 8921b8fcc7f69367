"""What the tests of the families share: each case runs once, each model is made once."""

import pytest
from family_fixtures import reproduced, specimen_path
from next_steps import hold_to_steps

__all__ = ["reproduced", "specimen_path"]


@pytest.fixture(autouse=True)
def refusals_say_what_to_do(monkeypatch):
    """Whatever a command of the tool refuses in a test, it says what to do."""
    hold_to_steps(monkeypatch)
