"""The record's chain: one digest after another over what may never change. Every store makes its links by `linked`."""

from __future__ import annotations

import hashlib
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
        lane, _, rest = text.strip().rpartition(":")[0].rpartition(":")
        digest = text.strip().rpartition(":")[2]
        if not rest.isdigit() or len(bytes.fromhex(digest)) != len(GENESIS):
            raise ValueError(f"«{text}» is no link; expected LANE:SEQUENCE:DIGEST")
        return cls(lane, int(rest), digest)


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
