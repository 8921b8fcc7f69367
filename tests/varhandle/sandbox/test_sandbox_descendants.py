"""What the processes below one hold together."""

import subprocess
import sys

import pytest

HELD = 100 * 2**20
PROGRAM = f"""
import os, time
from varhandle.sandbox.descendants import end_descendants, memory_of_descendants

held = b"x" * {HELD}
for _ in range(2):
    if not os.fork():
        time.sleep(60)
        os._exit(0)
print(memory_of_descendants(2**60), memory_of_descendants(0))
end_descendants()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_pages_that_forked_processes_share_are_counted_once():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    each, together = map(int, done.stdout.split())
    assert each > 2 * HELD
    assert together < HELD
