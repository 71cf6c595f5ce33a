"""The record's chain: one digest after another over what may never change. Every store makes its links by `linked`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from server.store.store import Version

GENESIS = bytes(32)
"""What the first link of a lane builds upon."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is shown and kept outside: its lane ("" where there is only one), the sequence of its unit, and
    its digest in hexadecimal."""

    lane: str
    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.lane}:{self.sequence}:{self.digest}"

    @classmethod
    def of(cls, text: str) -> Link:
        """A link from its text. ValueError for anything else."""
        found = re.fullmatch(r"([^:]*):(\d{1,18}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise ValueError(f"«{text}» is no link; expected LANE:SEQUENCE:DIGEST as check prints it")
        return cls(found[1], int(found[2]), found[3])


def linked(previous: bytes, records: Iterable[Version]) -> bytes:
    """The digest of a unit's records (in the order of their ordinals) upon that of the link before: SHA-256 over the
    previous digest and, for each record, a line «Type/id version ordinal length» and the bytes as stored. The length
    keeps two records apart whatever they hold."""
    digest = hashlib.sha256(previous)
    for record in records:
        body = record.body or b""
        head = f"{record.resource_type}/{record.id} {record.version_id} {record.ordinal} {len(body)}\n"
        digest.update(head.encode())
        digest.update(body)
    return digest.digest()
