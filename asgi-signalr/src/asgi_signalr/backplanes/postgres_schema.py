"""The backplane's tables in PostgreSQL, and every statement that touches them.

Schema `signalr` has the tables of SignalR's SQL backplane::

    schema         (version)                                     one row: what installed these tables
    messages_0_id  (payload_id, epoch)                           one row: the counter of stream 0
    messages_0     (payload_id, payload, inserted_on, sender)    the stream

A sender takes the next number from the counter *row*, not from a sequence: the row's lock makes senders queue up, so
numbers become visible in their order and a rollback leaves no hole. "Everything after the last number I know" then
is never wrong. The epoch is made with the tables; another epoch means another stream, whose numbers begin again.
"""

from datetime import datetime
from uuid import UUID

import asyncpg

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.tables import Mark, Message, Page

VERSION = 1
_TABLES = ("schema", "messages_0_id", "messages_0")
CHANNEL = "signalr_0"

# Advisory locks are numbers that applications agree on; the first of the two says "asgi-signalr".
_LOCK_CLASS = 0x5349474E
_INSTALL_LOCK = 0
_RETENTION_LOCK = 1

_INSTALL = """
CREATE SCHEMA IF NOT EXISTS signalr;
CREATE TABLE IF NOT EXISTS signalr.schema (version integer PRIMARY KEY);
CREATE TABLE IF NOT EXISTS signalr.messages_0_id (payload_id bigint NOT NULL, epoch uuid NOT NULL)
    WITH (fillfactor = 10);
CREATE UNIQUE INDEX IF NOT EXISTS messages_0_id_single ON signalr.messages_0_id ((true));
CREATE TABLE IF NOT EXISTS signalr.messages_0 (
    payload_id bigint PRIMARY KEY,
    payload bytea NOT NULL,
    inserted_on timestamptz NOT NULL,
    sender uuid NOT NULL
);
INSERT INTO signalr.messages_0_id SELECT 0, gen_random_uuid() WHERE NOT EXISTS (SELECT FROM signalr.messages_0_id);
"""

# The lock on the counter is taken by the statement that ends the transaction: it is held as briefly as can be.
# The notification is only a bell; its text is the number, since equal texts in one transaction are folded into one.
_SEND = """
WITH counter AS (
    UPDATE signalr.messages_0_id SET payload_id = payload_id + cardinality($1::bytea[]) RETURNING payload_id
), inserted AS (
    INSERT INTO signalr.messages_0 (payload_id, payload, inserted_on, sender)
    SELECT counter.payload_id - cardinality($1::bytea[]) + item.number, item.payload, clock_timestamp(), $2
    FROM counter, unnest($1::bytea[]) WITH ORDINALITY AS item (payload, number)
)
SELECT payload_id, pg_notify($3, payload_id::text) FROM counter
"""

# One snapshot of counter and rows; at least one row comes back, with the position, even if there is no message. What a
# read may hold is counted in bytes, without fetching them: whoever was away may find very large messages. Without a
# number it reads where the stream ends.
_READ = """
SELECT counter.top, counter.epoch, counter.counters,
    (SELECT max(payload_id) FROM signalr.messages_0) AS highest, clock_timestamp() AS now,
    last.sender AS last_sender, last.inserted_on AS last_inserted_on, message.*
FROM (
    SELECT max(payload_id) AS top, (array_agg(epoch))[1] AS epoch, count(*) AS counters FROM signalr.messages_0_id
) AS counter
LEFT JOIN signalr.messages_0 AS last ON last.payload_id = coalesce($1, counter.top)
LEFT JOIN LATERAL (
    SELECT payload_id, payload, inserted_on, sender FROM (
        SELECT *, sum(octet_length(payload)) OVER (ORDER BY payload_id) - octet_length(payload) AS bytes_before
        FROM (
            SELECT * FROM signalr.messages_0 WHERE payload_id > coalesce($1, counter.top) ORDER BY payload_id LIMIT $2
        ) AS following
    ) AS measured
    WHERE bytes_before < $3
) AS message ON true
ORDER BY message.payload_id
"""

# The last of the messages that are too old stays: a server that was away for as long as they are kept knows by it that
# it has missed nothing. So does the newest, however old it is.
_DELETE_OLD = """
DELETE FROM signalr.messages_0 WHERE payload_id IN (
    SELECT payload_id FROM (
        SELECT payload_id, lead(inserted_on) OVER (ORDER BY payload_id) AS followed_on FROM (
            SELECT payload_id, inserted_on FROM signalr.messages_0 ORDER BY payload_id LIMIT $3 + 1
        ) AS oldest
    ) AS followed
    WHERE followed_on < now() - make_interval(secs => $1)
       OR payload_id <= (SELECT max(payload_id) FROM signalr.messages_0_id) - $2
    LIMIT $3
)
"""

# There is one counter, and no message is beyond it. Tables that were emptied, or into which a backup was read while
# servers used them, may have none or two; a message then may have a number that will be given again.
_IS_WRONG = """
SELECT (SELECT count(*) FROM signalr.messages_0_id) <> 1
    OR (SELECT max(payload_id) FROM signalr.messages_0) > (SELECT max(payload_id) FROM signalr.messages_0_id)
"""
_REPAIR = """
WITH highest AS (
    SELECT greatest(
        (SELECT max(payload_id) FROM signalr.messages_0_id), (SELECT max(payload_id) FROM signalr.messages_0), 0
    ) AS payload_id
), emptied AS (DELETE FROM signalr.messages_0_id)
SELECT payload_id FROM highest
"""


async def install(connection: asyncpg.Connection) -> None:
    """Make the tables that are missing. Any number of servers may do so at once.

    Raises:
        BackplaneError: the tables are of another version than this code.

    """
    if not await is_installed(connection):
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK_CLASS}, {_INSTALL_LOCK})")
            if not await is_installed(connection):
                await connection.execute(_INSTALL)
    version = await connection.fetchval("SELECT max(version) FROM signalr.schema")
    if version is None:  # it is new, or somebody has emptied it
        await connection.execute("INSERT INTO signalr.schema VALUES ($1) ON CONFLICT DO NOTHING", VERSION)
        version = VERSION
    if version != VERSION:
        advice = "upgrade asgi-signalr here" if (version or 0) > VERSION else "drop the schema"
        raise BackplaneError(
            f"The tables in schema signalr have version {version}, this asgi-signalr needs version {VERSION}: {advice}."
        )


async def is_installed(connection: asyncpg.Connection) -> bool:
    """Whether all the tables are there."""
    # Not to_regclass: within a transaction it may answer from a cache that knows nothing of another one's commit.
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'signalr' AND tablename = ANY($1)"
    return bool(await connection.fetchval(query, _TABLES) == len(_TABLES))


async def send(connection: asyncpg.Connection, payloads: list[bytes], sender: UUID) -> int:
    """Append the payloads in one transaction and ring the bell; returns the last one's number.

    Raises:
        LookupError: the counter's row is missing.

    """
    last = await connection.fetchval(_SEND, payloads, sender, CHANNEL)
    if last is None:
        raise LookupError("The row of signalr.messages_0_id is missing.")
    return int(last)


async def sent_since(connection: asyncpg.Connection, payload_id: int, sender: UUID) -> int | None:
    """The number of this sender's newest message after `payload_id`, or None."""
    newest: int | None = await connection.fetchval(
        "SELECT max(payload_id) FROM signalr.messages_0 WHERE payload_id > $1 AND sender = $2", payload_id, sender
    )
    return newest


async def repair(connection: asyncpg.Connection) -> bool:
    """Make the counter anew if there is none, or two, or one below a message; says whether it was so."""
    if not await connection.fetchval(_IS_WRONG):
        return False
    async with connection.transaction():
        await connection.execute("LOCK TABLE signalr.messages_0_id")
        if not await connection.fetchval(_IS_WRONG):
            return False
        highest = await connection.fetchval(_REPAIR)
        await connection.execute("INSERT INTO signalr.messages_0_id VALUES ($1, gen_random_uuid())", highest)
        await connection.execute(
            "CREATE UNIQUE INDEX IF NOT EXISTS messages_0_id_single ON signalr.messages_0_id ((true))"
        )
    return True


async def renew_epoch(connection: asyncpg.Connection, epoch: UUID) -> UUID:
    """Have every server look at its position: the stream gets another epoch, once; returns the one that it has now."""
    await connection.execute("UPDATE signalr.messages_0_id SET epoch = gen_random_uuid() WHERE epoch = $1", epoch)
    renewed: UUID | None = await connection.fetchval("SELECT epoch FROM signalr.messages_0_id LIMIT 1")
    if renewed is None:
        raise LookupError("The row of signalr.messages_0_id is missing.")
    await connection.execute(f"NOTIFY {CHANNEL}")
    return renewed


async def last_until(connection: asyncpg.Connection, time: datetime | None) -> int:
    """The number of the newest message that was inserted by then; 0: there is none."""
    last: int | None = await connection.fetchval(
        "SELECT max(payload_id) FROM signalr.messages_0 WHERE inserted_on <= $1", time
    )
    return last or 0


async def read(connection: asyncpg.Connection, after: int | None, limit: int, size: int) -> Page:
    """The messages that follow number `after`, in order: `limit` at most, and no more once they have `size` bytes.

    None: the stream's end, and the mark of its newest message.

    Raises:
        LookupError: the counter's row is missing, there are two, or a message is beyond it.

    """
    rows = await connection.fetch(_READ, after, limit, size)
    messages = [
        Message(row["payload_id"], row["payload"], row["inserted_on"], row["sender"])
        for row in rows
        if row["payload_id"] is not None
    ]
    first = rows[0]
    if first["counters"] != 1 or (first["highest"] or 0) > first["top"]:
        raise LookupError("The row of signalr.messages_0_id is missing or wrong.")
    is_known = first["last_sender"] is not None
    mark = Mark(first["last_sender"], first["last_inserted_on"]) if is_known else None
    return Page(first["top"], first["epoch"], first["now"], mark, messages)


async def delete_old(connection: asyncpg.Connection, age: float, rows: int, limit: int) -> int:
    """Delete up to `limit` messages that are older than `age` seconds, or beyond the newest `rows`; returns how many.

    Only one server does so at a time; 0 if that is another one.
    """
    async with connection.transaction():
        if not await connection.fetchval(f"SELECT pg_try_advisory_xact_lock({_LOCK_CLASS}, {_RETENTION_LOCK})"):
            return 0
        status = await connection.execute(_DELETE_OLD, age, rows, limit)
    return int(status.split()[-1])
