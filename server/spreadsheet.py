"""What the workbooks that we write have in common: texts that stay texts, and the same bytes for the same content."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

from openpyxl.xml.functions import tostring  # type: ignore[import-untyped]

LONGEST = 32_767
"""Characters in a cell: Excel's limit."""

_CORE = "docProps/core.xml"
_EPOCH = (1980, 1, 1, 0, 0, 0)
# What XML 1.0 has no way to write.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def text(content: str, cut: str = "") -> str:
    """What a cell can hold: no control characters, and no more than Excel takes, with `cut` where it was cut."""
    kept = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", content)
    return kept if len(kept) <= LONGEST else kept[: LONGEST - len(cut)] + cut


def keep_text(cell: Any) -> None:
    """openpyxl takes "=…" for a formula and "#N/A" for an error; the quote keeps Excel from taking it for one too,
    when somebody edits the cell."""
    cell.data_type = "s"
    if cell.value[:1] in "=+-@\t\r":
        cell.quotePrefix = True


def repacked(saved: bytes, properties: Any) -> bytes:
    """The same parts, in their order, without the time at which they were packed. `properties` are the document's, with
    the times that it shall state."""
    packed, core = io.BytesIO(), tostring(properties.to_tree())
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            entry = zipfile.ZipInfo(part.filename, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            new.writestr(entry, core if part.filename == _CORE else old.read(part))
    return packed.getvalue()
