"""How papermill executes a notebook for us: it saves less often, and takes the pictures along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine, papermill_engines

from workbook_lib.runs.pictures import embed_pictures

NAME = "workbook"  # what papermill knows it by


class _Engine(NBClientEngine):
    """Saves when a code cell starts, and at the end.

    papermill saves before and after every cell, those of text as well. The file says the same when
    the next code cell starts, and so says at any time which cell is at work.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Execute a notebook, whose manager does not save until it is over but for our saves."""
        embed_pictures(nb_man.nb, Path(nb_man.nb.metadata.papermill["input_path"]).parent)
        save, start = nb_man.save, nb_man.cell_start

        def start_and_save(cell: Any, *arguments: Any, **kwargs: Any) -> None:
            start(cell, *arguments, **kwargs)
            if cell.cell_type == "code":
                save()

        nb_man.save, nb_man.cell_start = lambda **_: None, start_and_save
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            nb_man.save = save


papermill_engines.register(NAME, _Engine)
