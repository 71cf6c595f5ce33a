"""The edition's resources as NDJSON: one a line, in the document's order."""

from __future__ import annotations

from server.resource import Resource, encode


def lines(document: Resource) -> bytes:
    """The Composition first; nothing of the Bundle around them."""
    return b"".join(encode(entry["resource"]) + b"\n" for entry in document["entry"])
