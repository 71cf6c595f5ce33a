"""/health/live and /health/ready: is the process there, does the store answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.store.store import Store, Unavailable


def routes(store: Store) -> list[BaseRoute]:
    """200, or 503 with the reason."""

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        try:
            moment = await store.moment()
        except Unavailable as error:
            return JSONResponse({"status": "away", "reason": str(error)}, 503, {"Retry-After": "5"})
        return JSONResponse({"status": "ok", "sequence": moment.sequence})

    return [Route("/health/live", live), Route("/health/ready", ready)]
