"""A process of its own that sets the annex: the template's data as JSON comes in, the PDF goes out.

Typst keeps what it has laid out: with 200 initiatives a process grew from 40 to 558 MB and stayed so. This one ends.
It stands alone (python -I typeset.py SECONDS), imports nothing of the server, and knows nothing but its input.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typst

TEMPLATE = Path(__file__).parent / "templates" / "annex.typ"


def typeset(data: str, timestamp: int) -> bytes:
    """The PDF; `timestamp` is the instant that it states as its own, in seconds since 1970."""
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        format="pdf",
        font_paths=typst.Fonts(include_system_fonts=False),
        sys_inputs={"data": data},
        pdf_standards=["ua-1", "a-2a"],
        timestamp=timestamp,
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(typeset(sys.stdin.buffer.read().decode(), int(sys.argv[1])))
