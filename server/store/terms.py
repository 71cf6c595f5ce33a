"""What every store needs to know of a query in the same way: where texts and URIs begin and end, and which order and
total it asks for. Pure."""

from __future__ import annotations

from server.search.query import Query

PREFIX = 48
"""Characters of a folded string that its index key holds."""


def after(text: str) -> str | None:
    """The least text above every text that starts with `text`; None when there is none."""
    for last in range(len(text) - 1, -1, -1):
        point = ord(text[last])
        if point < 0x10FFFF:
            # U+D800 to U+DFFF are no characters, and UTF-8 has no bytes for them.
            return text[:last] + chr(0xE000 if point == 0xD7FF else point + 1)
    return None


def above(value: str) -> list[str]:
    """Every URI that `value` is at or below."""
    cuts = [i for i in range(1, len(value)) if value[i] in "/|" or value[i - 1] == "/"]
    return [value[:i] for i in cuts] + [value]


def newest_first(query: Query) -> bool:
    """Whether ordinals alone give the asked order: instants grow with them."""
    if not query.sort:
        return True
    return len(query.sort) == 1 and query.sort[0].kind == "updated" and query.sort[0].descending


def counted(query: Query) -> bool:
    """Whether the total was asked for."""
    return query.total != "none" or query.count == 0
