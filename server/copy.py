"""A store copied into another, of whatever kind: every version with its sequence and instant, so that each past moment
answers in the copy as it does in the original, and the links of the record, so that an anchor of the one holds for the
other.

It can be broken off and begun again, and run beside a server that writes: it goes on after the newest commit of the
copy, until there is none left. Nobody else may write to the copy meanwhile.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from server.interaction.engine import Engine
from server.interaction.searchable import caught_up
from server.store.store import Commit, Conflict, Store, Version

CHUNK = 500
"""Versions that are read and written at once."""


class Unlike(Exception):
    """The copy holds something else than the original did; says what."""


@dataclass
class Sums:
    """Versions and a digest by resource type, over all that their commits say of them."""

    counts: Counter[str] = field(default_factory=Counter)
    chain: dict[int, bytes] = field(default_factory=dict)
    """The links of the record, by the sequence of their commit."""
    _digests: dict[str, hashlib._Hash] = field(default_factory=dict)

    def commit(self, commit: Commit) -> None:
        if commit.link is not None:
            self.chain[commit.moment.sequence] = commit.link
        for version in commit.versions:
            self._add(version)

    def _add(self, version: Version) -> None:
        kind = version.resource_type
        self.counts[kind] += 1
        digest = self._digests.setdefault(kind, hashlib.sha256())
        head = f"{version.id} {version.version_id} {version.ordinal} {version.last_updated} {version.method}"
        body = b"-" if version.body is None else b"%d:%b" % (len(version.body), version.body)
        digest.update(head.encode() + b"\n" + body + b"\n")

    def digests(self) -> dict[str, str]:
        return {kind: digest.hexdigest() for kind, digest in sorted(self._digests.items())}


async def copy(source: Engine, target: Store, progress: Callable[[int], None]) -> Sums:
    """Brings the copy up to the original, and then compares all of both. Unlike when they differ."""
    reached = (await target.moment()).sequence
    await _check_same_beginning(source.store, target, reached)
    while commits := await source.store.commits(reached, CHUNK):
        async with source.store.snapshot() as snapshot:
            # A SearchParameter among them is in force for what comes after it.
            await caught_up(source, snapshot)
        try:
            await target.append(commits, source.indexer.indexed)
        except Conflict:
            raise Unlike("Someone else writes to the copy; stop that, and begin again.") from None
        reached = commits[-1].moment.sequence
        progress(reached)
    return await compared(source.store, target, reached)


async def _check_same_beginning(source: Store, target: Store, reached: int) -> None:
    """What the copy holds must be the beginning of the original: its newest commit is looked at."""
    if reached == 0:
        return
    newest = [commit async for commit in _until(target, reached, after=reached - 1)]
    original = [commit async for commit in _until(source, reached, after=reached - 1)]
    if newest != original:
        raise Unlike(f"The copy holds another registry: its commit {reached} is not that of the original.")


async def compared(source: Store, target: Store, until: int) -> Sums:
    """All commits up to that sequence, side by side."""
    ours, theirs = Sums(), Sums()
    for store, sums in ((source, ours), (target, theirs)):
        async for commit in _until(store, until):
            sums.commit(commit)
    if ours.counts != theirs.counts or ours.digests() != theirs.digests():
        kinds = sorted(
            kind
            for kind in ours.counts | theirs.counts
            if ours.counts[kind] != theirs.counts[kind] or ours.digests().get(kind) != theirs.digests().get(kind)
        )
        raise Unlike(f"The copy differs from the original in {', '.join(kinds)}.")
    if ours.chain != theirs.chain:
        raise Unlike("The copy differs from the original in the links of the record's chain.")
    return ours


async def _until(store: Store, until: int, *, after: int = 0) -> AsyncIterator[Commit]:
    while commits := await store.commits(after, CHUNK):
        for commit in commits:
            if commit.moment.sequence > until:
                return
            yield commit
        after = commits[-1].moment.sequence
