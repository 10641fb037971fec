"""The backplane in SQL Server: the tables of the classic SignalR, in its words, which servers look at now and then."""

from typing import Unpack

from asgi_signalr.backplanes.sql import SqlBackplane, parsed
from asgi_signalr.backplanes.sql_statements import MssqlStatements
from asgi_signalr.backplanes.tables import TableOptions

_ODBC = "ODBC Driver 18 for SQL Server"


class MssqlBackplane(SqlBackplane):
    """Joins the servers that use one database; `open_backplane("mssql://user:password@host/database")` makes it.

    The database must exist; the tables are made on first use, in the schema SignalR. The driver is Microsoft's for
    ODBC, which has to be installed on the machine; `?driver=` in the URL names another one than the newest. The options
    are those of every `SqlBackplane`.
    """

    def __init__(self, url: str, **options: Unpack[TableOptions]) -> None:
        parts = parsed(url)
        if not parts.database:
            raise ValueError("The URL names no database: mssql://user:password@host/DATABASE.")
        if "driver" not in parts.query:
            parts = parts.update_query_dict({"driver": _ODBC})
        super().__init__(
            f"{parts.host or 'localhost'}:{parts.port or 1433}/{parts.database}",
            parts.set(drivername="mssql+aioodbc"),
            MssqlStatements(),
            {},
            **options,
        )
