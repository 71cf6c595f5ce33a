"""Registered SMART backend clients: the file PORTFOLIO_CLIENTS, read anew when it changes.

    {"clients": [{"client_id": "helse-vest-epj", "name": "Helse Vest EPJ", "organization": "983658725",
                  "scopes": "system/Task.crus system/*.rs", "jwks": {"keys": […]}}]}

`role` is reporter unless it says reader or secretariat; `jwks_uri` may stand for `jwks`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from joserfc.jwk import ECKey, Key

from server.access import Role
from server.auth.fetching import Away, Kept, fetched
from server.auth.jose import Keys
from server.auth.scopes import Scopes, scope
from server.settings import Settings, WrongSetting, safe_url

log = logging.getLogger("server")


RegisteredRole = Literal["reporter", "reader", "secretariat"]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client as the file has it. `scopes` are separated by spaces."""

    client_id: str
    scopes: str
    name: str = ""
    organization: str = ""
    role: RegisteredRole = "reporter"
    jwks: dict[str, Any] | None = None
    jwks_uri: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: list[Registration]


@dataclass(frozen=True)
class Client:
    """One client, checked. `keys` are given, or fetched from its own address."""

    id: str
    name: str
    organization: str
    role: Role
    scopes: Scopes
    keys: Keys | Kept[Keys]

    async def candidates(self, header: dict[str, Any]) -> list[Key]:
        """The keys that may have signed an assertion with this header. FhirError transient (503) when they are to be
        fetched and their address does not answer."""
        if isinstance(self.keys, Keys):
            return self.keys.candidates(header)
        found = (await self.keys.value()).candidates(header)
        return found or (await self.keys.newer()).candidates(header)


@dataclass
class Clients:
    """Those of a file. A change that does not hold is logged, and the clients stay as they were."""

    path: Path
    _known: dict[str, Client] = field(default_factory=dict)
    _seen: tuple[int, int] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Clients:
        """WrongSetting with place and reason for a file that does not hold, or that is named and not there. Where
        none is named, the usual one may be missing: then there are no clients."""
        clients = cls(settings.clients)
        named = "clients" in settings.model_fields_set
        if named or settings.clients.exists():
            clients._seen = clients._state()
            clients._known = _read(settings.clients)
        return clients

    def get(self, client_id: str) -> Client | None:
        """The client as the file has it now."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._known = _read(self.path) if state else {}
            except WrongSetting as wrong:
                log.error("%s; the clients stay as they were", wrong)
        return self._known.get(client_id)

    def _state(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def registration(client_id: str, key_file: Path, *, organization: str, role: RegisteredRole, scopes: str) -> str:
    """The entry of a new client as JSON text, with the public half of a new key (ES384); the private half is written
    to `key_file`, for its owner alone. OSError when that is there or cannot be written; ValueError for an entry that
    would not be accepted."""
    key = ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"}, auto_kid=True)
    public: dict[str, Any] = {"keys": [key.as_dict(private=False)]}
    entry = Registration(client_id, scopes, organization=organization, role=role, jwks=public)
    _checked(entry)
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(key.as_dict(private=True)))
    fields = {name: value for name, value in msgspec.structs.asdict(entry).items() if value}
    return msgspec.json.format(msgspec.json.encode(fields)).decode()


def _read(path: Path) -> dict[str, Client]:
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=_File).clients
    except OSError as error:
        raise _wrong(path, f"expected a JSON file of clients; {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(path, f'expected {{"clients": […]}}; {str(error) or "too deep"}') from None
    clients: dict[str, Client] = {}
    for index, one in enumerate(listed):
        try:
            client = _checked(one)
            if client.id in clients:
                raise ValueError(f"client_id: {client.id} is there twice")
        except ValueError as error:
            raise _wrong(path, f"clients[{index}].{error}") from None
        clients[client.id] = client
    return clients


def _checked(one: Registration) -> Client:
    """ValueError, beginning with the field that is wrong."""
    if not one.client_id or any(character.isspace() for character in one.client_id):
        raise ValueError("client_id: expected a name without spaces")
    if one.role == "reporter" and not one.organization:
        raise ValueError("organization: expected the organisation number or slug of a reporter")
    held = tuple(scope(text) for text in one.scopes.split())
    known = tuple(one for one in held if one is not None)
    if not known or len(known) < len(held):
        raise ValueError("scopes: expected SMART scopes of version 2 separated by spaces, e.g. system/Task.crus")
    return Client(one.client_id, one.name or one.client_id, one.organization, one.role, known, _keys(one))


def _keys(one: Registration) -> Keys | Kept[Keys]:
    if (one.jwks is None) is (not one.jwks_uri):
        raise ValueError("jwks: expected jwks or jwks_uri, one of them")
    if one.jwks is None:
        if not safe_url(one.jwks_uri):
            raise ValueError("jwks_uri: expected an https URL; http is for loopback only")
        return Kept(one.jwks_uri, partial(_fetched, one.jwks_uri))
    try:
        keys = Keys.of(one.jwks)
    except ValueError as error:
        raise ValueError(f"jwks: {error}") from None
    if any(key.is_private for key in keys):
        raise ValueError("jwks: a key is private; expected the public half alone")
    return keys


async def _fetched(url: str) -> Keys:
    try:
        return Keys.of(await fetched(url))
    except ValueError as error:
        raise Away(f"{url}: {error}") from None


def _wrong(path: Path, reason: str) -> WrongSetting:
    return WrongSetting(f"PORTFOLIO_CLIENTS={path}: {reason}")
