"""Who is signed in at a browser: sessions and sign-ins under way, each in a signed cookie that only this server reads.

The key lies in PORTFOLIO_KEYS, so that every process of an installation knows every session. A session ends when its
time is out, or when its person signs out; the second is remembered by the process that saw it, until the first.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import Response

from server.access import Caller, Role
from server.auth.keyfile import write_once
from server.settings import Settings, WrongSetting

_FILE = "session.key"
_BYTES = 32
_ALGORITHM = "HS256"
_SESSION, _ATTEMPT = "session", "signin"
ATTEMPT_SECONDS = 600
"""A person has ten minutes to sign in at the issuer."""


@dataclass(frozen=True, slots=True)
class Session:
    """`id` is random and new at each sign-in; `caller` has role, organisation and name; `expires` seconds from 1970."""

    id: str
    caller: Caller
    expires: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that has begun: what its answer must bring along, and the page to come back to. RFC 7636, RFC 6749
    section 10.12, OpenID Connect Core section 3.1.2.1."""

    state: str
    nonce: str
    verifier: str
    next: str

    @classmethod
    def new(cls, next: str) -> Attempt:
        """With 256 random bits each."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), next)


@dataclass
class Sessions:
    """`secure`: the pages are reached by https alone, and so are the cookies."""

    key: OctKey
    secure: bool
    seconds: int
    path: str = "/"
    now: Callable[[], float] = time.time
    _ended: dict[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Sessions:
        """With the key in PORTFOLIO_KEYS, made at the first start. WrongSetting when it cannot be used."""
        secure = settings.base.startswith("https:")
        return cls(_key(settings.keys), secure, settings.session_seconds)

    def begin(self, response: Response, caller: Caller) -> Session:
        """A new session, whatever the browser had before; the attempt that led to it is spent."""
        session = Session(secrets.token_urlsafe(18), caller, int(self.now()) + self.seconds)
        claims = {
            "sid": session.id,
            "role": caller.role,
            "organization": caller.organization,
            "name": caller.name,
            "user": caller.user,
            "exp": session.expires,
        }
        self._set(response, _SESSION, claims, self.seconds)
        self._clear(response, _ATTEMPT)
        return session

    def end(self, response: Response, session: Session) -> None:
        """Its cookie is taken back, and not accepted here any more."""
        now = int(self.now())
        self._ended = {id: expires for id, expires in self._ended.items() if expires > now}
        self._ended[session.id] = session.expires
        self._clear(response, _SESSION)
        self._clear(response, _ATTEMPT)

    def read(self, request: Request) -> Session | None:
        """The session of the request's cookie; None without one, or for one that does not hold."""
        claims = self._claims(request, _SESSION)
        roles: dict[Any, Role] = {role: role for role in get_args(Role)}
        role = roles.get(claims.get("role"))
        if role is None or str(claims["sid"]) in self._ended:
            return None
        caller = Caller(role, str(claims["organization"]), str(claims["name"]), user=str(claims.get("user", "")))
        return Session(str(claims["sid"]), caller, int(claims["exp"]))

    def attempt(self, response: Response, attempt: Attempt) -> None:
        """Binds a sign-in to this browser."""
        claims = {
            "state": attempt.state,
            "nonce": attempt.nonce,
            "verifier": attempt.verifier,
            "next": attempt.next,
            "exp": int(self.now()) + ATTEMPT_SECONDS,
        }
        self._set(response, _ATTEMPT, claims, ATTEMPT_SECONDS)

    def attempted(self, request: Request, state: str) -> Attempt | None:
        """The sign-in that this browser has begun with this state, or None."""
        claims = self._claims(request, _ATTEMPT)
        if not claims or not hmac.compare_digest(str(claims["state"]).encode(), state.encode("utf-8", "replace")):
            return None
        return Attempt(*(str(claims[name]) for name in ("state", "nonce", "verifier", "next")))

    def csrf(self, session: Session) -> str:
        """What each form of the session carries. A page of another site cannot read it, nor make it."""
        key = self.key.raw_value
        return hmac.new(key, f"csrf {session.id}".encode(), hashlib.sha256).hexdigest()

    def holds(self, session: Session, csrf: str) -> bool:
        """Whether a form carried its session's token."""
        return hmac.compare_digest(self.csrf(session).encode(), csrf.encode("utf-8", "replace"))

    def _name(self, kind: str) -> str:
        # A browser takes __Host- from this very host and by https only, so that no neighbour can plant one.
        return f"__Host-portfolio-{kind}" if self.secure else f"portfolio-{kind}"

    def _set(self, response: Response, kind: str, claims: dict[str, Any], seconds: int) -> None:
        # The kind is signed too: a sign-in under way is no session.
        text = jwt.encode({"alg": _ALGORITHM, "typ": kind}, claims, self.key, algorithms=[_ALGORITHM])
        response.set_cookie(
            self._name(kind), text, max_age=seconds, path=self.path, secure=self.secure, httponly=True, samesite="lax"
        )

    def _clear(self, response: Response, kind: str) -> None:
        response.delete_cookie(self._name(kind), path=self.path, secure=self.secure, httponly=True, samesite="lax")

    def _claims(self, request: Request, kind: str) -> dict[str, Any]:
        """What we have signed ourselves and is not out of time; {} for all else."""
        text = request.cookies.get(self._name(kind))
        if not text:
            return {}
        try:
            token = jwt.decode(text, self.key, algorithms=[_ALGORITHM])
        except (JoseError, ValueError, TypeError, LookupError, RecursionError):
            return {}
        if token.header.get("typ") != kind or token.claims.get("exp", 0) <= self.now():
            return {}
        return token.claims


def _key(folder: Path) -> OctKey:
    path = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_once(path, secrets.token_bytes(_BYTES))
        content = path.read_bytes()
    except OSError as error:
        raise WrongSetting(f"PORTFOLIO_KEYS={folder}: expected a folder of keys; {error.strerror}") from None
    if len(content) != _BYTES:
        raise WrongSetting(f"PORTFOLIO_KEYS={folder}: expected {_BYTES} bytes in {_FILE}")
    return OctKey.import_key(content)
