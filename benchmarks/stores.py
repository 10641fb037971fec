"""The stores that servers are joined by, run for a benchmark alone."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit import services
from labkit.services.postgres.keeper import temporary_server


@contextmanager
def running(store: str) -> Iterator[str]:
    """Run a store of this benchmark's own; yields the URL of a database in it."""
    if store == "postgres":
        with temporary_server() as server:
            server.create_database("benchmark")
            yield server.database_url("benchmark")
        return
    with tempfile.TemporaryDirectory() as data, services.find(store).running(Path(data)) as url:
        yield f"{url}/benchmark"
