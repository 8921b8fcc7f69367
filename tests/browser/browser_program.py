"""Which browser of this machine the browser tests drive."""

import os
import shutil
import subprocess

# .ci/run looks for the same ones.
BROWSERS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")


def find_browser():
    """Return the path of the first browser that starts, ``$CHROME_BIN`` before all; or None."""
    for name in (os.environ.get("CHROME_BIN", ""), *BROWSERS):
        path = shutil.which(name) if name else None
        if path and _starts(path):
            return path
    return None


def _starts(path):
    """Whether it answers: Ubuntu's chromium-browser may be a mere hint at a snap."""
    try:
        return not subprocess.run(
            [path, "--version"], capture_output=True, timeout=60, check=False
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False
