"""HTML fragments in a report's text to markdown; text without them stays as it is, to the character."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_TAG = re.compile(r"</?(?:p|br|b|strong|i|em|a|ul|ol|li|div|span|h[1-6])(?:\s[^<>]*)?/?>", re.IGNORECASE)
_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*"}
_BLOCKS = frozenset({"p", "div", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"})


def markdown(text: str) -> str:
    """The text with its HTML, if it has any, as markdown: paragraphs, line breaks, lists, emphasis, links."""
    if not _TAG.search(text):
        return text
    parser = _Markdown()
    parser.feed(text)
    parser.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(parser.parts)).strip()


class _Markdown(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._links: list[str] = []
        self._counts: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _MARKS:
            self.parts.append(_MARKS[tag])
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href") or "")
            self.parts.append("[")
        elif tag == "li":
            self.parts.append(self._bullet())
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        if tag in ("ul", "ol"):
            self._counts.append(0 if tag == "ol" else None)

    def _bullet(self) -> str:
        count = self._counts[-1] if self._counts else None
        if count is None:
            return "\n- "
        self._counts[-1] = count + 1
        return f"\n{count + 1}. "

    def handle_endtag(self, tag: str) -> None:
        if tag in _MARKS:
            self.parts.append(_MARKS[tag])
        elif tag == "a" and self._links:
            self.parts.append(f"]({self._links.pop()})")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        if tag in ("ul", "ol") and self._counts:
            self._counts.pop()

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
