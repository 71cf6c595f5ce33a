"""/metrics in Prometheus text: requests by method, kind of path and status, and their seconds."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter("http_requests_total", "Requests", ["method", "area", "status"], registry=registry)
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self.seconds = Histogram("http_request_seconds", "Seconds", ["area"], buckets=_BUCKETS, registry=registry)

    def routes(self) -> list[BaseRoute]:
        """/metrics."""

        async def metrics(request: Request) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return [Route("/metrics", metrics)]

    def _of(self, method: str, area: str, status: int) -> tuple[Any, Any]:
        """The counter and histogram of these labels, looked up once: it is done for every request."""
        key = method, area, status
        if key not in self._children:
            self._children[key] = self.requests.labels(method, area, status), self.seconds.labels(area)
        return self._children[key]

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Pure ASGI: counts each request when its answer begins."""

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            began = time.perf_counter()
            area = "fhir" if scope["path"].startswith("/fhir") else "pages"

            async def counted(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    count, seconds = self._of(_METHODS.get(scope["method"], "other"), area, message["status"])
                    count.inc()
                    seconds.observe(time.perf_counter() - began)
                await send(message)

            await app(scope, receive, counted)

        return measured


_METHODS = {method: method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
