"""Fixtures that the tests of both distributions share."""

from collections.abc import Iterator

import pytest

from labkit.postgres import Server, temporary_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL for the whole session; a test makes databases of its own in it."""
    with temporary_server() as server:
        yield server
