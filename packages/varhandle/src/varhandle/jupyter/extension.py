"""The part of Jupyter Server that runs the tool for a panel, behind its login.

    POST   varhandle/diagnose        {"path"}: JSON objects a line each, as they come
    POST   varhandle/cure            {"path", "output", "target", "quantization", "inputs", "trust"}
    DELETE varhandle/runs/…          end a run; a request that is broken off ends its run as well
    GET    varhandle/cure?path=…     what a form offers: targets, recipes, a name that is free
    GET    varhandle/models?path=…   which folders in a folder are models

Paths are as Jupyter's contents have them, below the server's root. What is hidden from Jupyter is
hidden here, and a link that leads out of the root is refused. All ask for the right to read or
write ``contents``; what changes something needs Jupyter's token against cross-site requests.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.contents.filemanager import FileContentsManager
from jupyter_server.utils import ensure_async, url_path_join
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from varhandle.display import one_line
from varhandle.errors import VarhandleError
from varhandle.facts.recipes import RECIPES
from varhandle.facts.targets import OLD_RUNTIMES, TARGETS, find_target
from varhandle.formats.registry import looks_like_model
from varhandle.formats.saved_model import SAVED_MODEL_FILES
from varhandle.formats.tflite import TFLite
from varhandle.jupyter.runs import BusyError, ToolRun, ToolRuns
from varhandle.model_folder import ModelFolder, PathNotAllowedError

_RUNS = "varhandle_runs"  # in the settings of the web application
_MOST_FOLDERS = 1000  # that are looked into, of one folder


def load(server: Any) -> None:
    """Add the handlers to a server, unless its files are somewhere else than on its disk."""
    if not isinstance(server.contents_manager, FileContentsManager):
        server.log.info("varhandle: this server's files are not on its disk")
        return
    settings = server.web_app.settings
    settings[_RUNS] = ToolRuns()
    # The entries of the file browser's menu look for this before they offer themselves.
    settings.setdefault("page_config_data", {})["varhandle"] = "varhandle/"
    base = url_path_join(server.base_url, "varhandle")
    server.web_app.add_handlers(
        ".*$",
        [
            (f"{base}/diagnose", DiagnoseHandler),
            (f"{base}/cure", CureHandler),
            (f"{base}/runs/([^/]+)", RunHandler),
            (f"{base}/models", ModelsHandler),
        ],
    )


class ToolHandler(APIHandler):
    """What the handlers share: the right that they ask for, and which files they take."""

    auth_resource = "contents"

    @property
    def folder(self) -> ModelFolder:
        """The server's root."""
        return ModelFolder(Path(self.contents_manager.root_dir))

    @property
    def runs(self) -> ToolRuns:
        """The runs of this server."""
        found: ToolRuns = self.settings[_RUNS]
        return found

    async def shown(self, path: object) -> str:
        """Return a path without slashes around it, if Jupyter would show what is there.

        Raises ``PathNotAllowedError``.
        """
        if not isinstance(path, str) or not path.strip("/"):
            raise PathNotAllowedError("which file? its path is missing: give it")
        path = path.strip("/")
        if self.contents_manager.allow_hidden:
            return path
        hidden = any(part.startswith(".") for part in path.split("/"))
        if hidden or (
            "\0" not in path and await ensure_async(self.contents_manager.is_hidden(path))
        ):
            fault = "it is hidden, or outside of this server's folder"
            raise PathNotAllowedError(f"{path}: {fault}: move it there")
        return path

    def told(self) -> dict[str, Any]:
        """Return what was sent, a JSON object."""
        try:
            told = json.loads(self.request.body)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise PathNotAllowedError("what was sent is no JSON object: send one")
        return told

    def refuse(self, error: VarhandleError | OSError) -> None:
        """Say in one line why not."""
        self.set_status(409 if isinstance(error, BusyError) else 400)
        said = getattr(error, "strerror", None) or error  # of a name that no file can have
        self.finish({"error": one_line(said)})


class RunningHandler(ToolHandler):
    """A request that is a run: it lasts as long as that, and the other way round."""

    run: ToolRun | None = None

    async def order(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the process is to do, without its root; raises ``PathNotAllowedError``."""
        raise NotImplementedError

    @authenticated
    @authorized
    async def post(self) -> None:
        """Start the run, and write what it says as it says it."""
        try:
            folder = self.folder
            order = {"root": str(folder.root), **await self.order(self.told())}
            names = (order[key] for key in ("model", "output") if key in order)
            files = {(folder.root / name).resolve() for name in names}
            async with self.runs.started(order, files) as self.run:
                self.set_header("Content-Type", "application/x-ndjson")
                self.set_header("Cache-Control", "no-store")
                self.set_header("X-Accel-Buffering", "no")
                async for chunk in self.run.answers():
                    self.write(chunk)
                    await self.flush()
        except StreamClosedError:  # nobody waits for it any longer
            pass
        except (VarhandleError, OSError) as error:
            self.refuse(error)

    def on_connection_close(self) -> None:
        """End the run: the panel or its window was closed."""
        super().on_connection_close()
        if self.run is not None:
            self.run.end()


class DiagnoseHandler(RunningHandler):
    """A diagnosis."""

    async def order(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return which model to diagnose."""
        return {
            "verb": "diagnose",
            "model": self.folder.readable(await self.shown(told.get("path"))),
        }


class CureHandler(RunningHandler):
    """A cure, and what its form offers."""

    async def order(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return which model to cure, and how; only inputs that are data are taken."""
        folder = self.folder
        options = {name: told[name] for name in ("target", "quantization") if told.get(name)}
        if told.get("inputs"):
            options["inputs"] = folder.inputs(await self.shown(told["inputs"]))
        return {
            "verb": "cure",
            "model": folder.readable(await self.shown(told.get("path"))),
            "output": folder.writable(await self.shown(told.get("output"))),
            "options": {**options, "trust": told.get("trust") is True},
        }

    @authenticated
    @authorized
    async def get(self) -> None:
        """Say what there is to choose from for a model, and a name beside it that is free."""
        try:
            path = await self.shown(self.get_argument("path", ""))
            model = self.folder.root / self.folder.readable(path)
        except (VarhandleError, OSError) as error:
            self.refuse(error)
            return
        converted = model.suffix in TFLite.suffixes
        recipes = [recipe for recipe in RECIPES.values() if recipe.fits_tflite or not converted]
        targets = [*TARGETS.values(), *map(find_target, OLD_RUNTIMES)]
        self.finish(
            {
                "targets": [{"id": one.id, "name": one.name} for one in targets],
                "recipes": [
                    {"name": one.name, "what": one.what, "calibrated": one.calibrated}
                    for one in recipes
                    if one.settings.optimizations
                ],
                "output": free_name(model).relative_to(self.folder.root).as_posix(),
            }
        )


class RunHandler(ToolHandler):
    """A run that is under way."""

    @authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """End it."""
        self.set_status(204 if self.runs.end(name) else 404)
        self.finish()


class ModelsHandler(ToolHandler):
    """The SavedModels in a folder: a page cannot tell them from other folders by their names."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """List the names of the folders that are models."""
        path = self.get_argument("path", "").strip("/")
        try:
            folder = self.folder.root
            if path:
                folder /= self.folder.inside(await self.shown(path))
            folders = itertools.islice(filter(Path.is_dir, folder.iterdir()), _MOST_FOLDERS)
            names = sorted(each.name for each in folders if looks_like_model(each))
        except (VarhandleError, OSError):
            names = []
        self.finish({"folders": names})


def free_name(model: Path) -> Path:
    """Return the name of a ``.tflite`` file beside a model that no file has, nor its state."""
    if model.name in SAVED_MODEL_FILES:
        model = model.parent
    stem = model.name if model.is_dir() else model.stem
    tries = [stem, f"{stem}-cured", *(f"{stem}-cured-{number}" for number in range(2, 1000))]
    beside = (model.with_name(f"{name}.tflite") for name in tries)
    taken = {each.name for each in model.parent.iterdir()}
    return next(each for each in beside if not {each.name, f"{each.stem}.state.npz"} & taken)
