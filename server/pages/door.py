"""The pages' door: who comes in, by session or bearer token, and whether a form was sent from our own pages.

A page with a form does three things: `visitor` says who asks, the template puts `account.csrf` in a hidden field (macro
`m.token`), and the endpoint that takes the form begins with `form`, which refuses what another site has sent. A form
with a file (enctype multipart/form-data) is taken in by `upload`, with the same checks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from server import headers
from server.access import Caller
from server.asking import asking_of
from server.auth.callers import CallerOf
from server.auth.sessions import Session, Sessions
from server.guards import host_of
from server.limits import Limits, address_of, is_loopback
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Account
from server.search.urls import pairs_of
from server.settings import Settings

CSRF = "csrf"
_FORM = "application/x-www-form-urlencoded"
_FILES = "multipart/form-data"
# The forms of these pages hold some words; a file comes beside them, up to PORTFOLIO_MAX_BODY with all around it.
_MOST = 64 * 1024
_MOST_FIELDS = 20

SIGN_IN, SIGN_OUT, ACCOUNT = "/logg-inn", "/logg-ut", "/konto"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page. `session` is None for a bearer token and for the anonymous."""

    caller: Caller
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A form with one file. `content` is empty when no file was chosen."""

    fields: Mapping[str, str]
    name: str
    content: bytes


@dataclass(frozen=True)
class Door:
    """`sessions` is None under PORTFOLIO_AUTH=off, where nobody signs in."""

    settings: Settings
    caller_of: CallerOf
    limits: Limits
    sessions: Sessions | None

    @property
    def signs_in(self) -> bool:
        """Whether people can sign in at all."""
        return self.settings.auth == "dev" or (self.settings.auth == "oidc" and bool(self.settings.oidc_client_id))

    def session(self, request: Request) -> Session | None:
        """The session of the request's cookie. A bearer token stands above it."""
        if self.sessions is None or headers.sent(request.scope, b"authorization") is not None:
            return None
        return self.sessions.read(request)

    async def visitor(self, request: Request) -> Visitor:
        """Who asks. FhirError login (401) for a token that does not hold, throttled (429); a session that does not
        hold is none."""
        session = self.session(request)
        if session is None:
            return Visitor(await self.caller_of(request))
        self.limits.check_client(request.scope, session.caller)
        asking = asking_of(request.scope)
        caller = replace(session.caller, address=address_of(request.scope), request=asking)
        if asking is not None:
            asking.caller = caller
        return Visitor(caller, session)

    async def caller(self, request: Request) -> Caller:
        """Who asks, for what draws no page."""
        return (await self.visitor(request)).caller

    def account(self, asked: Asked, session: Session | None) -> Account:
        """What the head of a page says of who is signed in, and where to sign in or out."""
        lasting = [pair for pair in asked.pairs if pair[0] == "lang"]
        here = [*lasting, ("next", asked.url())]
        return Account(
            sign_in_url=asked.url(SIGN_IN, here) if self.signs_in else "",
            sign_out_url=asked.url(SIGN_OUT, lasting),
            url=asked.url(ACCOUNT, lasting),
            open_house=self.settings.auth == "off",
            name=session.caller.name if session else "",
            organization=session.caller.organization if session else "",
            role=session.caller.role if session else "anonymous",
            csrf=self.sessions.csrf(session) if self.sessions and session else "",
        )

    async def form(self, request: Request, visitor: Visitor) -> Mapping[str, str]:
        """The fields of a form that was sent from our own pages by this visitor; the last of each name. FhirError
        forbidden (403) for one from elsewhere, not-supported (415), too-long (413).

        A browser tells where a form comes from (Origin); the token holds where it does not, as behind a proxy that
        takes headers away or for a page of ours that someone has made to send it."""
        fields = await self.fields(request)
        self._check_token(visitor, fields)
        return fields

    async def upload(self, request: Request, visitor: Visitor, field: str) -> Upload:
        """The same for a form with a file in this field: where it comes from is looked at before it is read, its token
        before anyone looks at the file. FhirError forbidden (403), not-supported (415), structure (400) for what is no
        such form, too-long (413) over PORTFOLIO_MAX_BODY."""
        self._check_sender(request, _FILES)
        parser = MultiPartParser(
            request.headers, self._limited(request), max_files=1, max_fields=_MOST_FIELDS, max_part_size=_MOST
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            text = f"Skjemaet kan ikke leses / The form cannot be read: {error.message}"
            raise FhirError("structure", text) from None
        try:
            fields = {name: text for name, text in form.multi_items() if isinstance(text, str)}
            self._check_token(visitor, fields)
            file = form.get(field)
            if not isinstance(file, UploadFile):
                return Upload(fields, "", b"")
            return Upload(fields, file.filename or "", await file.read())
        finally:
            await form.close()

    async def _limited(self, request: Request) -> AsyncGenerator[bytes, None]:
        limit, size = self.settings.body_limit, 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise FhirError("too-long", f"For stort / The form is larger than {limit} bytes.")
            yield part

    def _check_token(self, visitor: Visitor, fields: Mapping[str, str]) -> None:
        if visitor.session is None:
            return
        assert self.sessions is not None
        if not self.sessions.holds(visitor.session, fields.get(CSRF, "")):
            text = (
                "Skjemaet hører til en annen innlogging; last siden på nytt / The form is of another session; reload."
            )
            raise FhirError("forbidden", text, expression=CSRF)

    async def fields(self, request: Request) -> Mapping[str, str]:
        """The same for a form that needs no session: only where it comes from is looked at."""
        self._check_sender(request, _FORM)
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > _MOST:
                raise FhirError("too-long", f"For stort / The form is larger than {_MOST} bytes.")
        return dict(pairs_of(content.decode("utf-8", "replace")))

    def _check_sender(self, request: Request, expected: str) -> None:
        media = (headers.sent(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
        if media != expected:
            raise FhirError("not-supported", f"Ventet / expected {expected}.", status=415)
        if not self._is_ours(request):
            text = "Skjemaet er sendt fra et annet nettsted / The form was sent from another site."
            raise FhirError("forbidden", text, expression="Origin")

    def _is_ours(self, request: Request) -> bool:
        """By the Origin that every browser sends with a form: that of the base, or of the host that was asked for,
        which no page of another site can choose. A bearer token is sent by no form at all."""
        if (headers.sent(request.scope, b"authorization") or "").lower().startswith(("bearer ", "dpop ")):
            return True
        origin = headers.sent(request.scope, b"origin") or ""
        base = urlsplit(self.settings.base)
        asked = f"{base.scheme}://{headers.sent(request.scope, b'host')}"
        return origin.lower() in (f"{base.scheme}://{base.netloc}".lower(), asked.lower())

    def offers_test_users(self, request: Request) -> bool:
        """Only with the development key, and to this machine's own user: nobody else may be whom he likes."""
        own = urlsplit(self.settings.base).hostname or ""
        return (
            self.settings.auth == "dev"
            and all(_is_this_machine(name) for name in (self.settings.host, own, host_of(request.scope)))
            and is_loopback(address_of(request.scope))
            and self.limits.spares(request.scope)
        )


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or is_loopback(host)
