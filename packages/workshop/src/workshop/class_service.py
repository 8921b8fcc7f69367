"""``python -m workshop.class_service HUB``: who is here and who is stuck where, for the instructor.

The page of ``workbook class``, of what all participants have recorded so far. JupyterHub starts it
(HUB is the number of its process), and asks who is looking; participants are refused.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime, timezone

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, authenticated

from workbook_lib.lesson.progress import fold
from workshop.class_page import render_class
from workshop.classroom import Classroom, Learner, read_learner
from workshop.homes import collect_records
from workshop.hub_folder import GIVE_BACK, HubFolder
from workshop.sandbox_spec import die_with_parent

NAME = "class"
PREFIX = f"/services/{NAME}/"


def render_page(hub: HubFolder) -> str:
    """Return the page as it stands now."""
    records = collect_records(hub, hub.config.first_number)
    learners = [
        read_learner(name, record.progress, record.presence)
        if record.progress
        else Learner(name, fold([]), presence=record.presence)
        for name, record in sorted(records.items())
    ]
    return render_class(Classroom(learners), datetime.now(timezone.utc), f"/hub{GIVE_BACK}")


class _Page(HubOAuthenticated, RequestHandler):
    @authenticated
    async def get(self) -> None:
        page = await asyncio.to_thread(render_page, HubFolder.of_this_process())
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
    die_with_parent(int(sys.argv[1]))
    asyncio.run(serve(HubFolder.of_this_process().config.class_port))
