"""The driver, narrowed to what the store asks of it: motor, or PyMongo's own asynchronous client, which succeeds it.

Both are PyMongo below and raise its errors; they differ in what must be awaited, and nobody else knows of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, ReturnDocument, UpdateMany
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from server.store.store import Unavailable

__all__ = ["ConnectionFailure", "Driver", "DuplicateKeyError", "Name", "PyMongoError", "Session", "failure"]

Name = Literal["motor", "pymongo"]
Document = dict[str, Any]
Update = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Filter and change, for all documents that the filter finds."""

# Of a server that says a command makes no sense to it: our own bug, which waiting does not mend.
_OUR_OWN = frozenset((2, 9, 14, 17, 31, 40, 52, 59, 72, 168))
_MAX_TIME, _DUPLICATE = 50, 11000
_TOO_LARGE = ("TransactionTooLarge", "BSONObjectTooLarge")
_MANY = 5_000
_INDEXES = 6 * 3600.0
"""Seconds for a new index of many versions, after an upgrade: the server that starts waits, the others serve."""


class Session(Protocol):
    """What of a driver's session is used here."""

    in_transaction: bool


class Driver:
    """One database. All methods may raise PyMongoError; `failure` says what that is to the store's caller.

    `patience`: seconds to wait for a server that can be written to. `silence`: seconds that a server may take to
    answer. What the address itself says of them goes before; but of nothing that durability rests on.
    """

    def __init__(self, url: str, name: Name, *, patience: float, silence: float, **options: Any) -> None:
        asked = {option.lower() for option in parse_qs(urlsplit(url).query)}
        limits = {
            "serverSelectionTimeoutMS": int(patience * 1000),
            "connectTimeoutMS": int(patience * 1000),
            "timeoutMS": int(silence * 1000),
            "appname": "portfolio-registry",
        }
        given = {option: value for option, value in limits.items() if option.lower() not in asked}
        # Acknowledged means: in the journal of a majority, so that no failover takes it back; read means: such a write.
        safe = {"w": "majority", "journal": True, "readConcernLevel": "majority", "readPreference": "primary"}
        client: Any = AsyncIOMotorClient if name == "motor" else AsyncMongoClient
        self._client: Any = client(url, **safe, **given, **options)
        self._database: Any = self._client[database_of(url)]

    async def close(self) -> None:
        await _awaited(self._client.close())

    async def hello(self) -> Document:
        """What the server says of itself."""
        return dict(await self._client.admin.command("hello"))

    async def begin(self) -> Session:
        """A session in a transaction that sees one state of the database."""
        session = await _awaited(self._client.start_session(causal_consistency=True))
        started = session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority", j=True))
        await _awaited(started)
        return session  # type: ignore[no-any-return]

    async def commit(self, session: Any) -> None:
        """Returns once it is durable. The driver itself tries a second time after a failure of the network."""
        await session.commit_transaction()
        await self.end(session)

    async def end(self, session: Any) -> None:
        """Ends the session, and with it a transaction that was not committed; never fails."""
        try:
            if session.in_transaction:
                await session.abort_transaction()
            await _awaited(session.end_session())
        except PyMongoError:
            pass  # The server ends on its own what nobody goes on with.

    async def find(
        self,
        collection: str,
        filter: Mapping[str, Any],
        projection: Mapping[str, Any] | None = None,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        session: Session | None = None,
        seconds: float | None = None,
    ) -> list[Document]:
        """All that it finds, in one round trip up to 5 000 documents or 16 MB. `seconds` is the server's time."""
        cursor = self._database[collection].find(
            filter, projection, sort=list(sort) or None, limit=limit, batch_size=limit or _MANY, session=session
        )
        if seconds is not None:
            cursor = cursor.max_time_ms(_milliseconds(seconds))
        return list(await cursor.to_list(None))

    async def aggregate(
        self,
        collection: str,
        pipeline: Sequence[Mapping[str, Any]],
        *,
        session: Session | None = None,
        seconds: float | None = None,
    ) -> list[Document]:
        """As find, of what the pipeline makes."""
        limits = {} if seconds is None else {"maxTimeMS": _milliseconds(seconds)}
        cursor = await _awaited(
            self._database[collection].aggregate(list(pipeline), batchSize=_MANY, session=session, **limits)
        )
        return list(await cursor.to_list(None))

    async def insert(self, collection: str, documents: Sequence[Mapping[str, Any]], session: Session) -> None:
        """Raises DuplicateKeyError where an index that is unique has one already."""
        try:
            await self._database[collection].insert_many(documents, session=session)
        except BulkWriteError as error:
            if any(one.get("code") == _DUPLICATE for one in error.details.get("writeErrors", ())):
                raise DuplicateKeyError(str(error), _DUPLICATE, error.details) from error
            raise

    async def update(self, collection: str, updates: Sequence[Update], session: Session | None = None) -> int:
        """Does all of them in one command; the number of documents found."""
        result = await self._database[collection].bulk_write(
            [UpdateMany(filter, change) for filter, change in updates], session=session
        )
        return int(result.matched_count)

    async def changed(
        self,
        collection: str,
        id: str,
        change: Mapping[str, Any] | list[Mapping[str, Any]],
        session: Session | None = None,
    ) -> Document | None:
        """Changes one document and gives it as it then is; None when there is none."""
        found = await self._database[collection].find_one_and_update(
            {"_id": id}, change, return_document=ReturnDocument.AFTER, session=session
        )
        return found  # type: ignore[no-any-return]

    async def put(self, collection: str, document: Mapping[str, Any], session: Session | None = None) -> None:
        """Inserts the document, or leaves the one that has its _id."""
        await self._database[collection].update_one(
            {"_id": document["_id"]}, {"$setOnInsert": dict(document)}, upsert=True, session=session
        )

    async def create_indexes(self, collection: str, indexes: Sequence[Any]) -> None:
        """Those that are missing; built beside readers and writers, however long that takes."""
        with pymongo.timeout(_INDEXES):
            await self._database[collection].create_indexes(list(indexes))

    async def explain(self, command: Mapping[str, Any]) -> Document:
        """The server's plan of a find or aggregate, with what running it took."""
        return dict(await self._database.command("explain", dict(command), verbosity="executionStats"))


def database_of(url: str) -> str:
    """The database that the address names. ValueError when it names none, or is no address."""
    try:
        # What mongodb+srv:// stands for is asked of the network, which the driver does when it connects.
        name = parse_uri(url)["database"] if url.startswith("mongodb://") else urlsplit(url).path.strip("/")
    except PyMongoError as error:
        raise ValueError(str(error)) from None
    if not name:
        raise ValueError("it names no database")
    return str(name)


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def transient(error: PyMongoError) -> bool:
    """Whether the transaction may be tried anew from its start: nothing of it was written."""
    return error.has_error_label("TransientTransactionError") or isinstance(error, ConnectionFailure)


def refused(error: PyMongoError) -> bool:
    """Whether the server has said no to a commit, for good."""
    unsure = ("TransientTransactionError", "UnknownTransactionCommitResult")
    return isinstance(error, OperationFailure) and not any(map(error.has_error_label, unsure))


def failure(error: PyMongoError) -> Exception:
    """What an error is to the store's caller: Unavailable for what may pass or be mended beside us, else our bug."""
    if isinstance(error, ExecutionTimeout) or getattr(error, "code", None) == _MAX_TIME:
        return Unavailable("MongoDB took longer than the time limit.", too_costly=True)
    details = getattr(error, "details", None) or {}
    if str(details.get("codeName", "")).startswith(_TOO_LARGE):
        return Unavailable(f"MongoDB cannot hold as much in one commit: {error}", too_costly=True)
    if isinstance(error, ServerSelectionTimeoutError):
        return Unavailable("No MongoDB server that can be written to answers.")
    if isinstance(error, InvalidOperation):
        return Unavailable("The store is not open.")
    if isinstance(error, OperationFailure) and error.code in _OUR_OWN:
        return RuntimeError(f"MongoDB: {error}")
    return Unavailable(f"MongoDB: {error} ({type(error).__name__})")
