"""What the backplane says to databases in words of their own: compiled as SQLAlchemy does it, and compared."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from asgi_signalr.backplanes import open_backplane
from asgi_signalr.backplanes.sql_statements import MssqlStatements, MysqlStatements, Statements
from sqlalchemy.dialects import mssql, mysql, sqlite
from sqlalchemy.schema import CreateTable

SENDER = UUID(int=1)


def said(statement: Any, dialect: Any) -> str:
    """A statement in a database's words, on one line."""
    return " ".join(str(statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})).split())


def test_sql_server_has_the_tables_of_the_classic_signalr() -> None:
    statements, tsql = MssqlStatements(), mssql.dialect()
    assert [said(CreateTable(each), tsql) for each in (statements.schema, statements.counter, statements.messages)] == [
        "CREATE TABLE [SignalR].[Schema] ( [SchemaVersion] INTEGER NOT NULL, PRIMARY KEY ([SchemaVersion]) )",
        "CREATE TABLE [SignalR].[Messages_0_Id] ( [PayloadId] BIGINT NOT NULL, [Epoch] UNIQUEIDENTIFIER NOT NULL, "
        "PRIMARY KEY ([PayloadId]) )",
        "CREATE TABLE [SignalR].[Messages_0] ( [PayloadId] BIGINT NOT NULL, [Payload] VARBINARY(max) NOT NULL, "
        "[InsertedOn] DATETIME2(6) NOT NULL, [Sender] UNIQUEIDENTIFIER NOT NULL, PRIMARY KEY ([PayloadId]) )",
    ]


def test_sql_server_hands_out_numbers_in_one_statement_by_its_own_clock() -> None:
    assert said(MssqlStatements().take_numbers(3), mssql.dialect()) == (
        "UPDATE [SignalR].[Messages_0_Id] SET [PayloadId]=([SignalR].[Messages_0_Id].[PayloadId] + :param_1) "
        "OUTPUT inserted.[PayloadId], sysutcdatetime() AS sysutcdatetime_1"
    )


def test_who_reads_from_sql_server_holds_the_counter() -> None:
    assert said(MssqlStatements().counted(), mssql.dialect()) == (
        "SELECT count(*) AS count_1, max([SignalR].[Messages_0_Id].[PayloadId]) AS max_1 "
        "FROM [SignalR].[Messages_0_Id] WITH (HOLDLOCK)"
    )


def test_sql_server_counts_bytes_and_reads_a_page() -> None:
    statements, tsql = MssqlStatements(), mssql.dialect()
    messages = "[SignalR].[Messages_0]"
    assert [said(each, tsql) for each in (statements.sizes(4), statements.following(4, 9))] == [
        f"SELECT TOP 500 {messages}.[PayloadId], datalength({messages}.[Payload]) AS datalength_1 "
        f"FROM {messages} WHERE {messages}.[PayloadId] > :PayloadId_1 ORDER BY {messages}.[PayloadId]",
        f"SELECT {messages}.[PayloadId], {messages}.[Payload], {messages}.[InsertedOn], {messages}.[Sender] "
        f"FROM {messages} WHERE {messages}.[PayloadId] > :PayloadId_1 AND {messages}.[PayloadId] <= :PayloadId_2 "
        f"ORDER BY {messages}.[PayloadId]",
    ]


def test_the_rest_is_what_every_database_understands() -> None:
    statements, tsql = MssqlStatements(), mssql.dialect()
    messages, counter = "[SignalR].[Messages_0]", "[SignalR].[Messages_0_Id]"
    every = [
        statements.messages_in(),
        statements.highest(),
        statements.epoch(),
        statements.renewed(SENDER, SENDER),
        statements.mark(4),
        statements.newest(datetime(2026, 1, 1)),
        statements.own(SENDER, 3),
        statements.deleted(7),
        statements.version(),
    ]
    assert [said(each, tsql) for each in every] == [
        f"INSERT INTO {messages} ([PayloadId], [Payload], [InsertedOn], [Sender]) "
        "VALUES (:PayloadId, :Payload, :InsertedOn, :Sender)",
        f"SELECT max({messages}.[PayloadId]) AS max_1 FROM {messages}",
        f"SELECT {counter}.[Epoch], sysutcdatetime() AS sysutcdatetime_1 FROM {counter}",
        f"UPDATE {counter} SET [Epoch]=:Epoch WHERE {counter}.[Epoch] = :Epoch_1",
        f"SELECT {messages}.[Sender], {messages}.[InsertedOn] FROM {messages} "
        f"WHERE {messages}.[PayloadId] = :PayloadId_1",
        f"SELECT max({messages}.[PayloadId]) AS max_1 FROM {messages} WHERE {messages}.[InsertedOn] <= :param_1",
        f"SELECT max({messages}.[PayloadId]) AS max_1 FROM {messages} "
        f"WHERE {messages}.[PayloadId] > :PayloadId_1 AND {messages}.[Sender] = :Sender_1",
        f"DELETE FROM {messages} WHERE {messages}.[PayloadId] < :PayloadId_1",
        "SELECT max([SignalR].[Schema].[SchemaVersion]) AS max_1 FROM [SignalR].[Schema]",
    ]


def test_where_a_schema_is_a_database_the_tables_have_a_prefix() -> None:
    statements, words = MysqlStatements(), mysql.dialect()
    assert said(CreateTable(statements.messages), words) == (
        "CREATE TABLE `SignalR_Messages_0` ( `PayloadId` BIGINT NOT NULL, `Payload` LONGBLOB NOT NULL, "
        "`InsertedOn` DATETIME(6) NOT NULL, `Sender` CHAR(32) NOT NULL, PRIMARY KEY (`PayloadId`) )ENGINE=InnoDB"
    )
    assert said(statements.taken(), words) == (
        "SELECT `SignalR_Messages_0_Id`.`PayloadId`, utc_timestamp(6) AS utc_timestamp_1 FROM `SignalR_Messages_0_Id`"
    )
    assert said(Statements().counted(), sqlite.dialect()) == (
        'SELECT count(*) AS count_1, max("SignalR_Messages_0_Id"."PayloadId") AS max_1 FROM "SignalR_Messages_0_Id"'
    )


@pytest.mark.parametrize("scheme", ["mariadb", "mssql", "mysql"])
def test_a_url_without_a_database_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match=f"names no database: {scheme}://user:password@host/DATABASE"):
        open_backplane(f"{scheme}://user:password@host")


@pytest.mark.parametrize(
    ("url", "driven"),
    [
        ("mariadb://ann:secret@host/quiz", "mariadb+asyncmy://ann:***@host/quiz"),
        ("mysql://host:3307/quiz?charset=utf8mb4", "mysql+asyncmy://host:3307/quiz?charset=utf8mb4"),
        (
            "mssql://ann:secret@host/quiz?TrustServerCertificate=yes",
            "mssql+aioodbc://ann:***@host/quiz?TrustServerCertificate=yes&driver=ODBC+Driver+18+for+SQL+Server",
        ),
        ("mssql://host/quiz?driver=FreeTDS", "mssql+aioodbc://host/quiz?driver=FreeTDS"),
    ],
)
def test_the_driver_is_the_one_that_the_extra_brings(url: str, driven: str) -> None:
    if url.startswith("mssql"):
        pytest.importorskip("pyodbc", "5", exc_type=ImportError)  # it needs a library of the system
    backplane: Any = open_backplane(url)
    assert backplane._engine.url.render_as_string() == driven
    assert "secret" not in backplane._where
