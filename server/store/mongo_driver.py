"""The driver, narrowed to what the store asks of it: motor, or PyMongo's own asynchronous client, which succeeds it.

Both are PyMongo below and raise its errors; they differ in what must be awaited, and nobody else knows of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple, Protocol
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

__all__ = [
    "Alter",
    "ConnectionFailure",
    "Driver",
    "DuplicateKeyError",
    "Insert",
    "Name",
    "PyMongoError",
    "Session",
    "failure",
]

Name = Literal["motor", "pymongo"]
Document = dict[str, Any]
Update = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Filter and change, for all documents that the filter finds."""


class Insert(NamedTuple):
    """A document that is new."""

    collection: str
    document: Mapping[str, Any]


class Alter(NamedTuple):
    """A change of all documents that the filter finds."""

    collection: str
    filter: Mapping[str, Any]
    change: Mapping[str, Any]


_BULK_WRITE = 25
"""The wire version of MongoDB 8.0, whose command bulkWrite writes to several collections in one round trip."""
_NO_SUCH_COMMAND = frozenset((59, 115))
"""Of a server of 8.0 that still works as its predecessor, in the midst of an upgrade."""
_WRITE_CONFLICT = 112

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

    `patience`: seconds to wait for a connection. `silence`: seconds that a command may take, the wait for a server that
    can be written to and a second try included. What the address itself says of them goes before; but of nothing that
    durability rests on.
    """

    def __init__(self, url: str, name: Name, *, patience: float, silence: float, **options: Any) -> None:
        asked = {option.lower() for option in parse_qs(urlsplit(url).query)}
        limits = {
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
        self._bulk = False

    async def close(self) -> None:
        await _awaited(self._client.close())

    async def hello(self) -> Document:
        """What the server says of itself."""
        said = dict(await self._client.admin.command("hello"))
        self._bulk = said.get("maxWireVersion", 0) >= _BULK_WRITE
        return said

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

    async def write(self, writes: Sequence[Insert | Alter], session: Session) -> int:
        """Does all of it in this order, from MongoDB 8.0 on in one round trip, before in one for each run of alike; the
        number of documents that the filters found. Raises DuplicateKeyError as insert does."""
        runs = [(name, list(run)) for name, run in groupby(writes, key=lambda one: (type(one), one.collection))]
        if len(runs) > 1 and self._bulk:
            return await self._bulk_write(writes, session)
        found = 0
        for (kind, collection), run in runs:
            if kind is Insert:
                await self.insert(collection, [one.document for one in run if isinstance(one, Insert)], session)
            else:
                updates = [(one.filter, one.change) for one in run if isinstance(one, Alter)]
                found += await self.update(collection, updates, session)
        return found

    async def _bulk_write(self, writes: Sequence[Insert | Alter], session: Session) -> int:
        places = {collection: place for place, collection in enumerate(dict.fromkeys(one.collection for one in writes))}
        spaces = [{"ns": f"{self._database.name}.{collection}"} for collection in places]
        command = {"bulkWrite": 1, "errorsOnly": True, "nsInfo": spaces, "ops": [_op(one, places) for one in writes]}
        try:
            answer = await self._client.admin.command(command, session=session)
        except OperationFailure as error:
            if error.code not in _NO_SUCH_COMMAND:
                raise
            self._bulk = False
            raise _anew(str(error), error.code) from error
        for fault in answer["cursor"]["firstBatch"]:
            raise _of_one_write(fault)
        return int(answer["nMatched"])

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


def _op(one: Insert | Alter, places: Mapping[str, int]) -> Document:
    if isinstance(one, Insert):
        return {"insert": places[one.collection], "document": one.document}
    return {"update": places[one.collection], "filter": one.filter, "updateMods": one.change, "multi": True}


def _of_one_write(fault: Mapping[str, Any]) -> OperationFailure:
    """What bulkWrite says of a write that failed."""
    text, code = str(fault.get("errmsg")), fault.get("code")
    if code == _DUPLICATE:
        return DuplicateKeyError(text, code, fault)
    return _anew(text, code) if code == _WRITE_CONFLICT else OperationFailure(text, code, fault)


def _anew(text: str, code: int | None) -> OperationFailure:
    """An error after which the transaction is to be tried from its start."""
    return OperationFailure(text, code, {"errorLabels": ["TransientTransactionError"]})


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
