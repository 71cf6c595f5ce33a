"""What may be used once: the ids of client assertions and DPoP proofs, remembered while they would still hold."""

from __future__ import annotations

import hashlib
from collections import OrderedDict


class Replays:
    """Of one process, and bounded. When it is full of ids that still hold it takes no more: forgetting one would let
    it be used again. `most` is beyond what one process can check signatures of within their time."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def first(self, owner: str, id: str, until: float, now: float) -> bool:
        """Whether this owner uses the id for the first time; it is then remembered until that instant."""
        digest = hashlib.sha256(f"{owner}\0{id}".encode("utf-8", "replace")).digest()
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        if digest in self._until or len(self._until) >= self._most:
            return False
        self._until[digest] = until
        return True
