"""The command that measures which failure shows on which TensorFlow release."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.cli.program import BadInputError, whole_number

if TYPE_CHECKING:
    from varhandle.matrix.environments import Release


def register(commands: Any) -> None:
    """Add ``matrix``."""
    matrix = commands.add_parser(
        "matrix",
        help="measure which failure shows on which TensorFlow release",
        description=(
            "Install each release into an environment of its own, run the catalog's programs "
            "there, and merge what they did into the matrix. Needs uv. What an interrupted run "
            "has measured is kept. Exit code 1 if a release could not be installed."
        ),
    )
    matrix.add_argument(
        "releases",
        nargs="*",
        metavar="VERSION[@PYTHON]",
        help="such as 2.15.1 or 2.15.1@3.11; default: those that the matrix holds",
    )
    matrix.add_argument("--list", action="store_true", help="say what the matrix holds, and stop")
    matrix.add_argument("--output", type=Path, metavar="FILE", help="default: the one installed")
    matrix.add_argument("--jobs", type=whole_number, default=1, metavar="N", help="at a time")
    matrix.set_defaults(command=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    from varhandle.matrix import version_matrix
    from varhandle.matrix.environments import NotInstalledError, ReleaseInputError, parse_releases

    path = options.output or version_matrix.stored_path()
    try:
        releases = parse_releases(options.releases)
        if options.list:
            print("\n".join(release.text() for release in version_matrix.contents(path)))
            return 0
        measured = []
        for one in version_matrix.update(releases, path, options.jobs, _started):
            print(one.text(), flush=True)
            measured.append(one)
    except ReleaseInputError:
        raise
    except NotInstalledError as error:
        raise BadInputError(f"uv installs the releases, and cannot: {error}") from error
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: {error}") from error
    return 1 if any(one.reason for one in measured) else 0


def _started(release: Release) -> None:
    print(f"measuring {release.version}", flush=True)
