"""What is printed for other people's tools and releases is what was run there, and worked.

They are installed and run by ``python tests/support/other_tools.py``, which needs the package
registry; this needs none.
"""

import json

import other_tools
import pytest
from printed_code import ran

RECORD = json.loads(other_tools.RECORD.read_text())


def test_every_check_was_run():
    assert list(RECORD) == list(other_tools.CHECKS)
    assert all(record["result"] for record in RECORD.values())


@pytest.mark.parametrize("name", other_tools.CHECKS)
def test_what_is_printed_is_what_was_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = other_tools.CHECKS[name].printed()
    assert printed == RECORD[name]["printed"], f"run tests/support/other_tools.py {name!r} anew"
    ran(printed)
