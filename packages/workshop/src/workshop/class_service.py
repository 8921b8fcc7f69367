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
from workshop.hub_folder import Room
from workshop.places import collect_progress

NAME = "class"
PREFIX = f"/services/{NAME}/"


def class_page(room: Room) -> str:
    """Write the page of a room, as it stands now.

    Args:
        room: The room.

    Returns:
        HTML. Who has recorded nothing yet is in it as well.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        files.mkdir()
        untouched = collect_progress(room, room.started.first_number, files)
        try:
            known = read_classroom(files)
        except ClassroomError:  # nobody has recorded anything
            known = Classroom((), read_outlines())
        others = (Learner(name, Progress({}, {})) for name in untouched)
        learners = sorted((*known.learners, *others), key=lambda one: one.name)
        path = write_class_page(
            Classroom(tuple(learners), known.notebooks), Path(folder, "class.html")
        )
        return path.read_text(encoding="utf-8")


class _Page(HubOAuthenticated, RequestHandler):
    @authenticated
    async def get(self) -> None:
        page = await asyncio.to_thread(class_page, Room.of_this_process())
        self.set_header("Cache-Control", "no-store")
        self.set_header("Refresh", "30")
        self.finish(page)


async def serve(port: int) -> None:
    """Serve the page.

    Args:
        port: Where, on this machine alone; the hub's proxy stands before it.
    """
    routes = [(PREFIX, _Page), (f"{PREFIX}oauth_callback", HubOAuthCallbackHandler)]
    application = Application(routes, cookie_secret=os.urandom(32))
    HTTPServer(application).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Room.of_this_process().started.class_port))
