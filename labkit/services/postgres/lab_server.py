"""The server that a lab uses: its own, or any other by its URL."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from labkit.errors import MachineError, UsageError
from labkit.files import locked
from labkit.places import data_folder
from labkit.services.postgres import keeper
from labkit.services.postgres.account import lab_home
from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.server import Server

SERVER_VARIABLE = "LABKIT_DATABASE_SERVER"


@dataclass(frozen=True)
class Status:
    """How the lab's server stands; `stays` if it runs until `labkit db stop`."""

    running: bool
    stays: bool
    home: Path | None
    log: Path | None
    server: Server | None


class LabServer:
    """The lab's own server, shared by every labkit of this user; its databases last.

    The folder is `postgres` in labkit's data folder.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._wanted = home or data_folder() / "postgres"

    def _cluster(self, make: bool) -> Cluster:
        """The lab's cluster; without `make` no folder is made for it."""
        try:
            return Cluster(lab_home(self._wanted, make), temporary=False)
        except OSError as error:
            raise MachineError(
                f"Cannot write {self._wanted}: {error.strerror or error}.",
                "Set LABKIT_HOME to a folder that you may write to.",
            ) from error

    def status(self) -> Status:
        """How it stands; changes nothing."""
        cluster = self._cluster(make=False)
        server = self.existing()
        return Status(
            running=server is not None,
            stays=server is not None and cluster.stays.exists(),
            home=cluster.home,
            log=cluster.log,
            server=server,
        )

    def existing(self) -> Server | None:
        """The server if it runs."""
        cluster = self._cluster(make=False)
        running = cluster.running()
        return Server(cluster.app_url_at(running[1]), cluster.url_at(running[1])) if running else None

    def start(self) -> Server:
        """Start it if it does not run; either way it then stays until `stop`.

        Raises:
            MachineError: it does not start.
        """
        with keeper.kept("stay", self._cluster(make=True).home) as server:
            return server

    def stop(self) -> bool:
        """Stop it; false if it did not run. Its databases are kept."""
        cluster = self._cluster(make=False)
        if not cluster.home.exists():
            return False
        with locked(cluster.home / "lock"):
            ran = cluster.running() is not None
            cluster.stays.unlink(missing_ok=True)
            cluster.stop()
            return ran

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Use it if it runs, else start it; it stops after its last user unless it was to stay.

        Raises:
            MachineError: it does not start.
        """
        with keeper.kept("running", self._cluster(make=True).home) as server:
            yield server


class ExternalServer(LabServer):
    """A server of somebody else's, by its URL: used, never started or stopped."""

    def __init__(self, url: str) -> None:
        super().__init__()
        try:
            parts = urlsplit(url)
            is_server = parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.path in ("", "/")
            _ = parts.port  # which has to be a number
        except ValueError:
            is_server = False
        if not is_server:
            url = url.rpartition("@")[2]  # without the password
            raise UsageError(
                f"{SERVER_VARIABLE} is not the address of a PostgreSQL server: {url}",
                "Its form is postgresql://USER:PASSWORD@HOST:5432 without a database.",
            )
        self._server = Server(urlunsplit(parts._replace(path="")))

    def status(self) -> Status:
        """How it stands.

        Raises:
            MachineError: it does not answer.
        """
        self._server.databases()
        return Status(True, True, None, None, self._server)

    def existing(self) -> Server | None:
        """The server."""
        return self._server

    def start(self) -> Server:
        """Refuse: it is not labkit's to start.

        Raises:
            UsageError: always.
        """
        raise self._not_ours()

    def stop(self) -> bool:
        """Refuse: it is not labkit's to stop.

        Raises:
            UsageError: always.
        """
        raise self._not_ours()

    def _not_ours(self) -> UsageError:
        return UsageError(
            f"{SERVER_VARIABLE} names {self._server.address}: labkit does not start or stop it.",
            f"labkit db status shows how it stands. Without {SERVER_VARIABLE}, labkit has a server of its own.",
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """The server as it is.

        Raises:
            MachineError: it does not answer.
        """
        self._server.databases()
        yield self._server


def find_server(url: str | None = None) -> LabServer:
    """The server of that URL, else of `$LABKIT_DATABASE_SERVER`, else the lab's own.

    Raises:
        UsageError: the URL names no server.
    """
    url = url or os.environ.get(SERVER_VARIABLE)
    return ExternalServer(url) if url else LabServer()
