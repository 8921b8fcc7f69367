"""``python -m workshop.class_service``: who is stuck where, for the instructor.

The page of ``workbook class``, of what all participants have recorded so far. JupyterHub asks who
is looking; participants are refused.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, authenticated

from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.progress import Progress
from workshop.class_page import write_class_page
from workshop.classroom import Classroom, ClassroomError, Learner, read_classroom
from workshop.homes import collect_progress
from workshop.hub_folder import HubFolder

NAME = "class"
PREFIX = f"/services/{NAME}/"


def class_page(hub: HubFolder) -> str:
    """Return the page as it stands now."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        files.mkdir()
        untouched = collect_progress(hub, hub.config.first_number, files)
        try:
            known = read_classroom(files)
        except ClassroomError:  # nobody has recorded anything
            known = Classroom((), read_outlines())
        others = (Learner(name, Progress({}, {})) for name in untouched)
        learners = sorted((*known.learners, *others), key=lambda one: one.name)
        all_of_them = Classroom(tuple(learners), known.notebooks)
        return write_class_page(all_of_them, Path(folder, "class.html")).read_text("utf-8")


class _Page(HubOAuthenticated, RequestHandler):
    @authenticated
    async def get(self) -> None:
        page = await asyncio.to_thread(class_page, HubFolder.of_this_process())
        self.set_header("Cache-Control", "no-store")
        self.set_header("Refresh", "30")
        self.finish(page)


async def serve(port: int) -> None:
    """Serve the page."""
    routes = [(PREFIX, _Page), (f"{PREFIX}oauth_callback", HubOAuthCallbackHandler)]
    application = Application(routes, cookie_secret=os.urandom(32))
    HTTPServer(application).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(HubFolder.of_this_process().config.class_port))
