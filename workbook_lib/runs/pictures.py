"""The pictures of a lesson's text, for a copy of the notebook that lies elsewhere."""

from __future__ import annotations

import base64
import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LINK = re.compile(r"\]\(pictures/([\w.-]+)\)")


def embed_pictures(notebook: NotebookNode, folder: Path) -> None:
    """Put the pictures of the folder ``pictures/`` beside the notebook into the notebook.

    They become attachments, which Jupyter and nbconvert draw; a link to no file is left as it is.
    """
    for cell in notebook.cells:
        for name in _LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
            path = folder / "pictures" / name
            if path.is_file():
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                content = base64.b64encode(path.read_bytes()).decode("ascii")
                cell.setdefault("attachments", {})[name] = {kind: content}
                cell.source = cell.source.replace(f"](pictures/{name})", f"](attachment:{name})")
