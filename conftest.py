"""What the tests of both distributions share: a browser that is there, and a PostgreSQL."""

import os
from collections.abc import Iterator

import pytest

from labkit import browser
from labkit.errors import MachineError
from labkit.services.postgres.keeper import temporary_server
from labkit.services.postgres.server import Server

# Hundreds of processes of the tests import the same modules: whatever the environment says, they keep their bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Get a browser if the machine has none: once, before the workers start, which would all try at the same time."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    try:
        browser.find(install=True, say=lambda line: print(line, flush=True))
    except MachineError as error:
        pytest.exit(f"{error.message}\n{error.next}", returncode=int(error.code))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL for the whole session; a test makes databases of its own in it."""
    with temporary_server() as server:
        yield server
