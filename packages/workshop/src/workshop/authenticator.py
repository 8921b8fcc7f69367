"""Who may come in, and as whom.

The workshop's code lets somebody in. A name belongs to whoever came first with it, and the password
they chose then: a code that the whole class shares keeps nobody from being somebody else.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
import secrets
import unicodedata
from collections import defaultdict
from typing import Any, NoReturn

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError, RequestHandler

from workshop.give_back import GiveBackHandler
from workshop.hub_folder import GIVE_BACK, INSTRUCTOR, SHORTEST_PASSWORD, HubFolder
from workshop.look_alikes import find_look_alike
from workshop.user_numbers import end_processes

_NAME = re.compile(r"[^\W_][\w-]{0,31}")
_COST = {"n": 2**14, "r": 8, "p": 1}  # scrypt: 16 MB and some 50 ms a try


class WorkshopAuthenticator(Authenticator):
    """Asks for a name, a password of one's own, and the workshop's code."""

    # The form of JupyterHub has a third field for a one-time password. The workshop's code is one.
    request_otp = True
    otp_prompt = "Workshop code:"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._folder = HubFolder.of_this_process()
        self._one_at_a_time = asyncio.Lock()
        # One try after the other for each name that somebody has, however many come at once.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def normalize_username(self, username: str) -> str:
        """Return the name as it is kept."""
        small = unicodedata.normalize("NFKC", username).strip().lower()
        return re.sub(r"[\s._-]+", "-", small).strip("-")

    def validate_username(self, username: str) -> bool:
        """Tell whether a name can be one."""
        return bool(_NAME.fullmatch(username))

    async def authenticate(self, _: RequestHandler, data: dict[str, str]) -> Any:
        """Let somebody in, or refuse: with 403, and what to do about it, which the form shows."""
        name = self.normalize_username(data.get("username", ""))
        password = data.get("password", "")
        known = self._folder.secrets
        if name == INSTRUCTOR:
            async with self._turns[name]:
                if not _same(password, known["instructor code"]):
                    await _refuse("The instructor's password is the one that make hub has printed.")
            return {"name": name, "admin": True}
        if not _same(data.get("otp", ""), known["workshop code"]):
            await _refuse("This is not the workshop's code.")
        if not self.validate_username(name):
            raise HTTPError(403, "A name has letters, digits and hyphens, at most 32 of them.")
        async with self._one_at_a_time:
            kept = self._folder.read("passwords")
            if name not in kept:
                return await self._take(name, password, kept)
        salt, _, expected = kept[name].partition(":")
        async with self._turns[name]:
            if not secrets.compare_digest(await _hashed(password, salt), expected):
                await _refuse(
                    "This name is taken. If you took it, type the password you chose; "
                    "if not, choose another name."
                )
        return {"name": name, "admin": False}

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Add the page on which a place is given back."""
        return [*super().get_handlers(app), (GIVE_BACK, GiveBackHandler)]

    def participants(self) -> set[str]:
        """Return the names that somebody has."""
        return self._folder.participants()

    async def delete_user(self, user: Any) -> None:
        """Give a place back: the hub has ended its server, and forgets the user afterwards."""
        number = self._folder.known_number(user.name, self._folder.config.first_number)
        async with self._one_at_a_time:
            if number is not None:
                await asyncio.to_thread(end_processes, range(number, number + 1))
            self._folder.release(user.name)
        super().delete_user(user)

    async def _take(self, name: str, password: str, kept: dict[str, str]) -> dict[str, Any]:
        """Give a name that nobody has to whoever comes with it."""
        if len(password) < SHORTEST_PASSWORD:
            least = f"Choose a password of at least {SHORTEST_PASSWORD} characters"
            raise HTTPError(403, f"{least}: it keeps your name yours.")
        if twin := find_look_alike(name, [*kept, INSTRUCTOR]):
            await _refuse(
                f"“{name}” is easily taken for “{twin}”, and that name is taken. If it is yours, "
                "sign in with it; if not, choose a name that differs by more than accents, spaces "
                "or letters that look alike."
            )
        if len(kept) >= self._folder.config.settings.places:
            raise HTTPError(403, "All places of this workshop are taken: ask the instructor.")
        salt = secrets.token_hex(16)
        kept[name] = f"{salt}:{await _hashed(password, salt)}"
        try:
            self._folder.write("passwords", kept)
        except OSError as error:
            reason = f"Your name cannot be kept ({error.strerror}): tell the instructor."
            raise HTTPError(403, reason) from error
        return {"name": name, "admin": False}


def _same(typed: str, code: str) -> bool:
    """Compare a code, however its groups were typed."""
    plain = [re.sub(r"[\s-]", "", text).lower().encode() for text in (typed, code)]
    return secrets.compare_digest(*plain)


async def _refuse(reason: str) -> NoReturn:
    """Refuse after a moment, so that trying one code after the other is slow."""
    await asyncio.sleep(0.5)
    raise HTTPError(403, reason)


async def _hashed(password: str, salt: str) -> str:
    key = functools.partial(hashlib.scrypt, password.encode(), salt=bytes.fromhex(salt), **_COST)
    return (await asyncio.to_thread(key)).hex()
