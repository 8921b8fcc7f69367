"""The hub's page on which a place is given back: by whoever has it, or by the instructor."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import BaseHandler
from tornado.web import HTTPError, authenticated

from workshop.hub_folder import INSTRUCTOR


class GiveBackHandler(BaseHandler):
    """Asks once more, and then ends the server, frees the name, and puts the home aside."""

    @authenticated
    async def get(self) -> None:
        """Ask."""
        await self._show(self._owner(), is_done=False)

    @authenticated
    async def post(self) -> None:
        """Do it."""
        user = self._owner()
        if user.running and not user.spawner.pending:
            await self.stop_single_user(user)
        if user.spawner.pending:
            raise HTTPError(409, "The server is starting or ending just now: try again in a moment")
        is_own = user.name == self.current_user.name
        await self.authenticator.delete_user(user)
        await user.delete_spawners()
        self.users.delete(user)
        if is_own:
            self.clear_login_cookie()
            self._jupyterhub_user = None
        await self._show(user, is_done=True)

    def _owner(self) -> Any:
        """Return the user whose place it is."""
        asker = self.current_user
        name = self.authenticator.normalize_username(self.get_argument("name", asker.name))
        if name != asker.name and not asker.admin:
            raise HTTPError(403, "Only the instructor gives somebody else's place back")
        if name == INSTRUCTOR:
            raise HTTPError(400, "The instructor's place is not given back")
        if name not in self.authenticator.participants():
            raise HTTPError(404, "Nobody has this name")
        return self.find_user(name) or self.user_from_username(name)

    async def _show(self, user: Any, *, is_done: bool) -> None:
        is_own = self.current_user is None or user.name == self.current_user.name
        page = self.render_template(
            "give_back.html",
            owner=user.name,
            is_own=is_own,
            is_done=is_done,
            xsrf=self.xsrf_token.decode("ascii"),
        )
        self.finish(await page)
