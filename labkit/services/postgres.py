"""PostgreSQL: the lab's own server, or the one that the environment names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Postgres:
    title = "PostgreSQL"

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """Use it if it runs, else start it; its databases are in labkit's own folder, for all workspaces."""
        from labkit import postgres

        with postgres.find_server().running() as server:
            yield server.url

    def existing(self, data: Path) -> str | None:
        """The server's URL, if it runs."""
        from labkit import postgres

        server = postgres.find_server().existing()
        return server.url if server else None


SERVICE = _Postgres()
