"""A process of its own that draws charts: a Vega-Lite specification a line comes in, an SVG with its length goes out.

vl_convert holds the interpreter while it draws, a thread of its own notwithstanding: measured, a thread that ticks each
millisecond ticked 6 times in 490 ms. It also takes 97 MB and most of a second to begin. So it begins by drawing
nothing, and ends when nobody has asked for five minutes. It stands alone (python -I drawing.py) and imports nothing of
the server.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import vl_convert

VERSION = "5.20"
IDLE = 300.0
_NOTHING: dict[str, Any] = {"data": {"values": []}, "mark": "bar"}


def drawn(specification: dict[str, Any]) -> bytes:
    """The SVG. ValueError for what is no Vega-Lite."""
    return vl_convert.vegalite_to_svg(specification, vl_version=VERSION, allowed_base_urls=[]).encode()


def main() -> None:
    drawn(_NOTHING)
    asked, answers, rest = sys.stdin.fileno(), sys.stdout.buffer, b""
    while select.select([asked], [], [], IDLE)[0]:
        # Past Python's own buffer, so that nothing waits where `select` does not look.
        read = os.read(asked, 65536)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            try:
                content, sign = drawn(json.loads(line)), ""
            except ValueError as error:
                content, sign = str(error).encode(), "-"
            answers.write(f"{sign}{len(content)}\n".encode() + content)
            answers.flush()


if __name__ == "__main__":
    main()
