"""``python -m warm_kernels.kernelspec``: kernels of this Python are forked from a warm one.

Two kernelspecs go into this environment: ``python3``, the name that notebooks ask for everywhere,
with the provisioner of ``warm_kernels.provisioner``, in place of ipykernel's own; and
``python3-cold``, ipykernel's own under another name.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

PROVISIONER = "warm-kernels"
"""Its name among the entry points in ``pyproject.toml``."""


def install(prefix: Path) -> list[Path]:
    """Write the kernelspecs below ``share/jupyter/kernels``, and return their files."""
    from ipykernel.kernelspec import get_kernel_dict, write_kernel_spec

    ordinary = get_kernel_dict()
    stanza = {"kernel_provisioner": {"provisioner_name": PROVISIONER}}
    warm = {**ordinary, "metadata": {**ordinary.get("metadata", {}), **stanza}}
    cold = {**ordinary, "display_name": "Python 3 (cold start)"}
    written = []
    for name, content in (("python3", warm), ("python3-cold", cold)):
        folder = prefix / "share" / "jupyter" / "kernels" / name
        with tempfile.TemporaryDirectory() as fresh:
            made = write_kernel_spec(Path(fresh, name), overrides=content)
            shutil.copytree(made, folder, dirs_exist_ok=True)
        written.append(folder / "kernel.json")
    return written


def main() -> int:
    """Install them into the environment that runs this; 2 if they cannot be written."""
    try:
        for path in install(Path(sys.prefix)):
            print(path)
    except OSError as error:
        print(f"{error.filename}: no kernelspec can be written ({error.strerror})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
