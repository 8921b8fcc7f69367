"""How papermill executes a notebook for us: as it does by itself, but that it saves less often."""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

NAME = "workbook"  # what papermill knows it by


class _Manager(NotebookExecutionManager):
    """Saves when a code cell starts, and at the end.

    papermill saves before and after every cell, those of text as well. The file says the same when
    the next code cell starts, and so says at any time which cell is at work.
    """

    _saves = True

    def save(self, **kwargs: Any) -> None:
        if self._saves:
            super().save(**kwargs)

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        self._saves = cell.cell_type == "code"
        super().cell_start(cell, cell_index=cell_index, **kwargs)
        self._saves = False

    def notebook_complete(self, **kwargs: Any) -> None:
        self._saves = True
        super().notebook_complete(**kwargs)


class _Engine(NBClientEngine):
    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, **kwargs: Any
    ) -> Any:
        """Execute a notebook, as papermill's own does, with a manager of ours."""
        taken = ("log_output", False), ("progress_bar", True), ("autosave_cell_every", 30)
        log_output, progress_bar, autosave = (kwargs.pop(name, other) for name, other in taken)
        manager = _Manager(nb, output_path, log_output, progress_bar, autosave)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
        return manager.nb


papermill_engines.register(NAME, _Engine)
