"""Signing in and out, and what one may do: /logg-inn, /logg-inn/svar, /logg-ut, /konto."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server import headers
from server.access import ANONYMOUS, SECRETARIAT, Caller, Role
from server.auth.code_flow import CodeFlow
from server.auth.sessions import Attempt, Sessions
from server.interaction.search import search
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import AccountPage, SignedOutPage, SignInPage, TestUser
from server.pages.door import ACCOUNT, SIGN_IN, SIGN_OUT, Door
from server.pages.house import House
from server.portfolio import elements
from server.portfolio.complete import ENH
from server.search.urls import pairs_of

ANSWER = f"{SIGN_IN}/svar"

Draw = Callable[[Request, str, Sequence[str], Callable[[Asked], Awaitable[Response]]], Awaitable[Response]]
"""(request, path, names of the parameters that links keep, what to answer) -> the answer, or the refusal as a page"""
Show = Callable[[Request, Asked, str, Any], Response]
"""(request, asked, template, page) -> the page, which nobody keeps"""

_UNKEPT = {"Cache-Control": "no-store"}
_MAY: Mapping[Role, tuple[str, ...]] = {
    "anonymous": ("public",),
    "reader": ("public",),
    "reporter": ("public", "own.read", "own.write", "answer", "nominate"),
    "secretariat": ("all", "decide", "rounds"),
}


@dataclass(frozen=True)
class SignIn:
    """The endpoints. `flow` is None where nobody signs in at an issuer."""

    house: House
    door: Door
    sessions: Sessions
    flow: CodeFlow | None
    draw: Draw
    show: Show

    def routes(self) -> list[BaseRoute]:
        """Those of the head of this module."""
        return [
            Route(SIGN_IN, self.sign_in, methods=["GET"]),
            Route(SIGN_IN, self.choose, methods=["POST"]),
            Route(ANSWER, self.answer, methods=["GET"]),
            Route(SIGN_OUT, self.signed_out, methods=["GET"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
            Route(ACCOUNT, self.account, methods=["GET"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """GET: to the issuer, or the choice of a test user."""

        async def begin(asked: Asked) -> Response:
            attempt = Attempt.new(local(self.house.root, asked.one("next") or "") or asked.plain("/"))
            if self.flow is not None:
                response: Response = RedirectResponse(await self.flow.url(attempt, asked.lang), 303, _UNKEPT)
            else:
                self._check_test_users(request)
                page = SignInPage(self._frame(asked), asked.url(), attempt.state, await self._test_users())
                response = self.show(request, asked, "signin.html", page)
            self.sessions.attempt(response, attempt)
            return response

        return await self.draw(request, SIGN_IN, ("lang", "next"), begin)

    async def choose(self, request: Request) -> Response:
        """POST: the session of a test user. The state ties the form to the browser that was shown it."""

        async def chosen(asked: Asked) -> Response:
            self._check_test_users(request)
            fields = await self.door.fields(request)
            attempt = self._attempt(request, fields)
            wanted = fields.get("user", "")
            user = next((user for user in await self._test_users() if user.value == wanted), None)
            if user is None:
                raise FhirError("value", "Velg en testbruker / Choose a test user.", expression="user")
            return self._signed_in(attempt, _caller_of(user))

        return await self.draw(request, SIGN_IN, ("lang", "next"), chosen)

    async def answer(self, request: Request) -> Response:
        """GET: what the issuer answers through the browser."""

        async def answered(asked: Asked) -> Response:
            if self.flow is None:
                raise FhirError("not-found", "Ingen utsteder er i bruk / No issuer is in use.")
            brought = dict(pairs_of(headers.query(request.scope)))
            attempt = self._attempt(request, brought)
            return self._signed_in(attempt, await self.flow.caller(attempt, brought))

        # No link of a refusal carries the code on.
        return await self.draw(request, SIGN_IN, ("lang",), answered)

    async def sign_out(self, request: Request) -> Response:
        """POST, with the session's token."""

        async def ended(asked: Asked) -> Response:
            visitor = await self.door.visitor(request)
            response = RedirectResponse(asked.plain(SIGN_OUT), 303, _UNKEPT)
            if visitor.session is not None:
                await self.door.form(request, visitor)
                self.sessions.end(response, visitor.session)
            return response

        return await self.draw(request, SIGN_OUT, ("lang",), ended)

    async def signed_out(self, request: Request) -> Response:
        """GET: says so. Signing out of the issuer too is a link, for its session may serve other sites."""

        async def said(asked: Asked) -> Response:
            elsewhere = await self.flow.sign_out_url() if self.flow is not None else ""
            return self.show(request, asked, "signed_out.html", SignedOutPage(self._frame(asked), elsewhere))

        return await self.draw(request, SIGN_OUT, ("lang",), said)

    async def account(self, request: Request) -> Response:
        """GET: who is signed in, and what that one may do."""

        async def told(asked: Asked) -> Response:
            visitor = await self.door.visitor(request)
            caller = visitor.caller
            until = _instant(visitor.session.expires) if visitor.session else ""
            name = await self._organization(caller.organization)
            page = AccountPage(self._frame(asked), caller.role, caller.name, name, until, _MAY[caller.role])
            return self.show(request, asked, "account.html", page)

        return await self.draw(request, ACCOUNT, ("lang",), told)

    def _attempt(self, request: Request, brought: Mapping[str, str]) -> Attempt:
        """The sign-in that this browser began. FhirError login (401) for an answer to one that it did not."""
        attempt = self.sessions.attempted(request, brought.get("state", ""))
        if attempt is None:
            text = "Innloggingen ble ikke begynt i denne nettleseren, eller for lenge siden; prøv igjen"
            raise FhirError("login", f"{text} / The sign-in was not begun in this browser, or too long ago; try again.")
        return attempt

    def _signed_in(self, attempt: Attempt, caller: Caller) -> Response:
        response = RedirectResponse(local(self.house.root, attempt.next) or f"{self.house.root}/", 303, _UNKEPT)
        self.sessions.begin(response, caller)
        return response

    def _check_test_users(self, request: Request) -> None:
        if not self.door.offers_test_users(request):
            text = "Testbrukere finnes bare på maskinen selv / Test users are for this machine's own browser only."
            raise FhirError("forbidden", text)

    async def _test_users(self) -> tuple[TestUser, ...]:
        """The secretariat, a reader, and a reporter of each organisation that is registered, by name."""
        pairs = [("_sort", "name"), ("_count", "500")]
        found = await search(self.house.engine, ANONYMOUS, "Organization", pairs, strict=True)
        organizations = [elements.resource_of(version) for version in found.page.versions]
        reporters = [
            TestUser("reporter", number, str(one.get("name", number)))
            for one in organizations
            if (number := self._number(one))
        ]
        return TestUser("secretariat"), TestUser("reader"), *reporters

    async def _organization(self, number: str) -> str:
        """The name of an organisation by its number or slug, else that itself."""
        users = await self._test_users() if number else ()
        return next((f"{user.name} ({number})" for user in users if user.organization == number), number)

    def _number(self, organization: Mapping[str, Any]) -> str:
        for system in (ENH, self.house.sid("aktor")):
            for identifier in organization.get("identifier", []):
                if identifier.get("system") == system and identifier.get("value"):
                    return str(identifier["value"])
        return ""

    def _frame(self, asked: Asked) -> Any:
        return asked.frame(f"{self.house.engine.base}/metadata")


def local(root: str, text: str) -> str:
    """The text when it is the path (and query) of one of our own pages, else "": a link to a sign-in must not be able
    to lead anywhere else."""
    plain = text.isascii() and text.isprintable() and not any(sign in text for sign in '\\ "<>')
    if not plain or not text.startswith(f"{root}/") or text.startswith("//"):
        return ""
    parts = urlsplit(text)
    below = parts.path.removeprefix(root)
    if parts.scheme or parts.netloc or below.startswith("//") or below.startswith((SIGN_IN, SIGN_OUT)):
        return ""
    return text


def _caller_of(user: TestUser) -> Caller:
    if user.role == "secretariat":
        return SECRETARIAT
    return Caller(user.role, user.organization, f"Test: {user.name}" if user.name else "Test")


def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
