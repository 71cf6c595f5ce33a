"""A refusal in the form that the asker can read: an OperationOutcome for programs, a page for people."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from server import headers
from server.guards import is_data
from server.outcome import FhirError, outcome
from server.pages.routes import Pages
from server.resource import encode


@dataclass(frozen=True)
class Refusals:
    """`pages` draws those for people."""

    pages: Pages

    def answer(self, request: Request, error: FhirError) -> Response:
        """Below the FHIR base always JSON; elsewhere JSON for who accepts it and no HTML."""
        if not is_data(request.scope["path"]) and not _wants_json(headers.sent(request.scope, b"accept")):
            return self.pages.refusal(request, error)
        content = encode(outcome(error.issues))
        return Response(content, error.status, error.headers, f"{headers.JSON}; charset=utf-8")


def _wants_json(accept: str | None) -> bool:
    return "json" in (accept or "") and "html" not in (accept or "")
