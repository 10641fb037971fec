"""What the backplane says to an SQL database, in the words of each; nothing here connects to one.

The tables are those of SignalR's SQL Server backplane: `SignalR.Messages_0`, and its counter; where a schema is the
database itself, they are called `SignalR_Messages_0` and so on. A sender takes the next numbers from the counter's row
within the transaction that inserts the messages, so numbers become visible in their order.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Update,
    Uuid,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mssql, mysql

from asgi_signalr.backplanes.stored import MAX_BATCH

VERSION = 1

# Each database's own: as long as a message may be, and as exact as a clock tells.
_BYTES = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb").with_variant(mssql.VARBINARY("max"), "mssql")  # type: ignore[no-untyped-call]
_TIME = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb").with_variant(mssql.DATETIME2(6), "mssql")  # type: ignore[no-untyped-call]


class Statements:
    """The tables, and what is done with them, in SQLite's words, which most databases know."""

    SCHEMA: str | None = None

    def __init__(self) -> None:
        self.tables = MetaData(schema=self.SCHEMA)
        prefix = "" if self.SCHEMA else "SignalR_"
        # InnoDB: the other engines of MySQL have no transactions.
        kind: dict[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
        self.schema = Table(
            f"{prefix}Schema",
            self.tables,
            Column("SchemaVersion", Integer, primary_key=True, autoincrement=False),
            **kind,
        )
        self.counter = Table(
            f"{prefix}Messages_0_Id",
            self.tables,
            Column("PayloadId", BigInteger, primary_key=True, autoincrement=False),
            Column("Epoch", Uuid, nullable=False),
            **kind,
        )
        self.messages = Table(
            f"{prefix}Messages_0",
            self.tables,
            Column("PayloadId", BigInteger, primary_key=True, autoincrement=False),
            Column("Payload", _BYTES, nullable=False),
            Column("InsertedOn", _TIME, nullable=False),
            Column("Sender", Uuid, nullable=False),
            **kind,
        )

    # What every database has a word of its own for.

    def clock(self) -> ColumnElement[datetime]:
        """The time, in UTC, without saying so; by the database's own clock, where it has one."""
        return literal(datetime.now(UTC).replace(tzinfo=None), _TIME)

    def length(self, column: ColumnElement[bytes]) -> ColumnElement[int]:
        """How many bytes it has."""
        return func.length(column)

    def take_numbers(self, count: int) -> Update:
        """Move the counter on, which nobody else can do until the transaction has ended."""
        return update(self.counter).values(PayloadId=self.counter.c.PayloadId + literal(count))

    def lock(self, connection: Connection) -> None:
        """Have nobody else make or mend the tables, until the transaction ends."""

    def unlock(self, connection: Connection) -> None:
        """Let others make or mend the tables, where the end of the transaction does not."""

    def make(self, connection: Connection) -> None:
        """Make the tables that are missing."""
        self.tables.create_all(connection)

    # What is said in the same words to all.

    def version(self) -> Executable:
        """Which version the tables are of."""
        return select(func.max(self.schema.c.SchemaVersion))

    def taken(self) -> Executable:
        """The last number that was taken, and the time, for whoever has moved the counter on."""
        return select(self.counter.c.PayloadId, self.clock())

    def counted(self) -> Select[int, Any]:
        """How many counters there are, and what they say; one, if all is well."""
        return select(func.count(), func.max(self.counter.c.PayloadId)).select_from(self.counter)

    def highest(self) -> Executable:
        """The highest number of a message."""
        return select(func.max(self.messages.c.PayloadId))

    def epoch(self) -> Executable:
        """Which stream it is, and the time."""
        return select(self.counter.c.Epoch, self.clock())

    def renewed(self, before: UUID, after: UUID) -> Executable:
        """Make it another stream, unless somebody has done so."""
        return update(self.counter).where(self.counter.c.Epoch == before).values(Epoch=after)

    def mark(self, number: int) -> Executable:
        """By what a message is known."""
        return select(self.messages.c.Sender, self.messages.c.InsertedOn).where(self.messages.c.PayloadId == number)

    def sizes(self, after: int) -> Executable:
        """How long the messages are that follow a number."""
        number = self.messages.c.PayloadId
        lengths = select(number, self.length(self.messages.c.Payload)).where(number > after)
        return lengths.order_by(number).limit(MAX_BATCH)

    def following(self, after: int, until: int) -> Executable:
        """The messages that follow a number, up to another one."""
        number = self.messages.c.PayloadId
        return select(self.messages).where(and_(number > after, number <= until)).order_by(number)

    def newest(self, time: datetime) -> Executable:
        """The newest message that was inserted by then."""
        return select(func.max(self.messages.c.PayloadId)).where(
            self.messages.c.InsertedOn <= literal(time, self.messages.c.InsertedOn.type)
        )

    def own(self, sender: UUID, after: int) -> Executable:
        """The newest message of a sender that follows a number."""
        number = self.messages.c.PayloadId
        return select(func.max(number)).where(and_(number > after, self.messages.c.Sender == sender))

    def messages_in(self) -> Executable:
        """Insert messages, whose rows come as parameters."""
        return insert(self.messages)

    def deleted(self, below: int) -> Executable:
        """Delete what has a lower number."""
        return delete(self.messages).where(self.messages.c.PayloadId < below)


class MysqlStatements(Statements):
    """The same in the words of MySQL and MariaDB. Reads of one transaction see one state, as InnoDB has it."""

    def clock(self) -> ColumnElement[datetime]:
        """The server's."""
        return func.utc_timestamp(text("6"), type_=_TIME)

    def lock(self, connection: Connection) -> None:
        """By name, for the connection: making a table ends a transaction."""
        got = connection.scalar(text("SELECT GET_LOCK(CONCAT('signalr-', DATABASE()), 10)"))
        if got != 1:
            raise TimeoutError

    def unlock(self, connection: Connection) -> None:
        """Let the next one."""
        connection.execute(text("SELECT RELEASE_LOCK(CONCAT('signalr-', DATABASE()))"))


class MssqlStatements(Statements):
    """The same in T-SQL. Who reads holds the counter until the end of the transaction, so that it sees one state."""

    SCHEMA = "SignalR"

    def clock(self) -> ColumnElement[datetime]:
        """The server's."""
        return func.sysutcdatetime(type_=_TIME)

    def length(self, column: ColumnElement[bytes]) -> ColumnElement[int]:
        """LEN is for characters, and leaves spaces at the end out."""
        return func.datalength(column)

    def take_numbers(self, count: int) -> Update:
        """The number and the time come with it: UPDATE … OUTPUT."""
        return super().take_numbers(count).returning(self.counter.c.PayloadId, self.clock())

    def counted(self) -> Select[int, Any]:
        """Hold what is read: without it another one could add messages between two reads."""
        return super().counted().with_hint(self.counter, "WITH (HOLDLOCK)", "mssql")

    def lock(self, connection: Connection) -> None:
        """By name, until the transaction ends, which may make tables here."""
        connection.execute(
            text(
                "DECLARE @got int; "
                "EXEC @got = sp_getapplock @Resource = 'SignalR', @LockMode = 'Exclusive', "
                "@LockOwner = 'Transaction', @LockTimeout = 10000; "
                "IF @got < 0 THROW 50000, 'another server makes the tables of SignalR', 1;"
            )
        )

    def make(self, connection: Connection) -> None:
        """A schema can only be made alone in its batch."""
        connection.execute(text("IF SCHEMA_ID('SignalR') IS NULL EXEC('CREATE SCHEMA [SignalR]')"))
        super().make(connection)
