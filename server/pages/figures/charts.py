"""Charts: the numbers of a table put into the Vega-Lite specification of charts/, and painted for day and night."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

Theme = Literal["light", "dark"]
Width = Literal["wide", "narrow"]

_FOLDER = Path(__file__).parent / "charts"
_PALETTE: dict[str, Any] = json.loads((_FOLDER / "palette.json").read_bytes())
_TOKEN = re.compile(r"#f1(\d\d)(\d)f")
WIDTHS: dict[Width, int] = {"wide": 600, "narrow": 320}
_LEAST: dict[Width, tuple[float, float]] = {"wide": (0.085, 0.03), "narrow": (0.16, 0.06)}
"""The shares of the longest bar below which a part is too small for its number, and for its sign; the table says it."""
_LETTER = 8.5
"""Pixels of a letter at most: the fonts that a reader has may be wider than those that the drawing measures."""
_MOST_OF_WORDS = 210
_ROLES = ("fill", "edge", "ink")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the parts that all bars are made of: `colour` of the palette, and its word."""

    colour: str
    word: str

    @property
    def sign(self) -> str:
        """What tells it apart where its colour does not."""
        return str(_PALETTE[self.colour]["sign"])


@dataclass(frozen=True, slots=True)
class Bar:
    """A row: its word, the number of each part in the parts' order (None: not stated), and all of them as shown."""

    word: str
    numbers: tuple[int | Decimal | None, ...]
    shown: tuple[str, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bars. `alt` says what they mainly say."""

    name: str
    alt: str
    parts: tuple[Part, ...]
    bars: tuple[Bar, ...]

    @property
    def digest(self) -> str:
        """Changes with all that is drawn, and with the way of drawing."""
        said = repr((self, _template("stacked"), _PALETTE, WIDTHS, _LEAST))
        return hashlib.sha256(said.encode()).hexdigest()[:20]

    @property
    def drawable(self) -> bool:
        """Whether there is anything to be seen."""
        return any(any(bar.numbers) for bar in self.bars)

    def height(self, width: Width) -> int:
        """In pixels of the picture."""
        columns = _columns(self, width)
        legend = 22 * -(-len(self.parts) // columns) + 12 if len(self.parts) > 1 else 0
        return legend + len(self.bars) * (30 if width == "wide" else 48) + 8

    def specification(self, width: Width) -> dict[str, Any]:
        """The Vega-Lite specification with its data, in the tokens of `painted`."""
        made: dict[str, Any] = json.loads(_template("stacked"))
        made |= {"width": WIDTHS[width], "height": self.height(width), "description": self.alt}
        made["data"]["values"] = list(self._values(width))
        made["encoding"]["x"]["scale"]["domain"] = [0, self._room(width)]
        bars, words, sums = made["layer"]
        names = [f"{part.sign} {part.word}" for part in self.parts]
        for channel, role in (("color", "fill"), ("stroke", "edge")):
            colours = [_token(part.colour, role) for part in self.parts]
            bars["encoding"][channel]["scale"] = {"domain": names, "range": colours}
        bars["encoding"]["color"]["legend"]["columns"] = _columns(self, width)
        if len(self.parts) == 1:
            bars["encoding"]["color"]["legend"] = None
        sums["encoding"]["color"]["value"] = _TEXT
        made["config"]["axis"]["labelColor"] = made["config"]["legend"]["labelColor"] = _TEXT
        words["mark"]["fontSize"] = 13
        if width == "narrow":
            _above(made["encoding"]["y"])
        else:
            made["encoding"]["y"]["axis"]["minExtent"] = self._words
        return made

    @property
    def _words(self) -> float:
        """The room of the words beside the bars, in pixels."""
        return min(_MOST_OF_WORDS, _LETTER * max((len(bar.word) for bar in self.bars), default=0) + 8)

    def _room(self, width: Width) -> float:
        """The number at the right edge: beyond the longest bar there is room for its sum."""
        whole = WIDTHS[width] - (self._words if width == "wide" else 0)
        sums = _LETTER * max((len(bar.total) for bar in self.bars), default=0) + 12
        return float(self._longest) * whole / (whole - sums)

    def _values(self, width: Width) -> Any:
        for bar in self.bars:
            for order, (part, number) in enumerate(zip(self.parts, bar.numbers, strict=True)):
                # Of a bar of nought its first part remains, for the sum beside it.
                if number or (number == 0 and not any(bar.numbers) and order == bar.numbers.index(number)):
                    yield {
                        "row": bar.word,
                        "part": f"{part.sign} {part.word}",
                        "order": order,
                        "n": float(number) if isinstance(number, Decimal) else number,
                        "label": self._label(part, float(number), bar.shown[order], width),
                        "ink": _token(part.colour, "ink"),
                        "total": bar.total,
                    }

    def _label(self, part: Part, number: float, shown: str, width: Width) -> str:
        for_number, for_sign = _LEAST[width]
        share = number / float(self._longest)
        if len(self.parts) == 1 or share < for_sign:
            return ""
        return f"{part.sign} {shown}" if share >= for_number else part.sign

    @property
    def _longest(self) -> int | Decimal:
        return max((sum((n for n in bar.numbers if n is not None), Decimal(0)) for bar in self.bars), default=1) or 1


def _columns(chart: Chart, width: Width) -> int:
    """Of the legend: as many as its words leave room for."""
    longest = max((len(part.word) for part in chart.parts), default=1)
    return max(1, min(len(chart.parts), int(WIDTHS[width] // (_LETTER * longest + 56))))


def _above(y: dict[str, Any]) -> None:
    """A narrow picture has the words of its bars above them."""
    y["scale"] = {"paddingInner": 0.5, "paddingOuter": 0.35}
    y["axis"] |= {"labelAlign": "left", "labelPadding": 0, "labelOffset": -21, "labelLimit": 300}


@cache
def _template(name: str) -> str:
    return (_FOLDER / f"{name}.json").read_text("utf-8")


def _token(colour: str, role: str) -> str:
    """A colour that stands for one of the palette until the picture is painted: a specification is drawn once."""
    return f"#f1{list(_PALETTE).index(colour):02}{_ROLES.index(role)}f"


_TEXT = "#f1000f"


def painted(svg: str, theme: Theme) -> str:
    """The picture with the colours of the palette for day or night."""
    place = 0 if theme == "light" else 1
    colours = list(_PALETTE.values())

    def colour(token: re.Match[str]) -> str:
        found: Mapping[str, list[str]] | list[str] = colours[int(token[1])]
        return found[place] if isinstance(found, list) else found[_ROLES[int(token[2])]][place]

    return _TOKEN.sub(colour, svg)
