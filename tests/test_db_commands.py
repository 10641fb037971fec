"""`labkit db`: the lab's server, and a look into it."""

import contextlib
import io
import itertools
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from labkit import services, workspace
from labkit.cli import demo, run, show
from labkit.console import _Console, err, out
from labkit.lab import Exercise, Lab, find_lab
from labkit.services.postgres.lab_server import LabServer
from labkit.services.postgres.server import Server, without_password

Shown = Callable[..., dict[str, Any]]

_numbers = itertools.count(1)

TOOL = 'import os, sys; print(sys.argv[1:], "PGPASSWORD" in os.environ)'


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(out, "_width", 200)
    monkeypatch.delenv("LABKIT_LAB", raising=False)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The folder of one lab server for this module."""
    with tempfile.TemporaryDirectory(prefix="labkit-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)
        LabServer(Path(name) / "postgres").stop()


@pytest.fixture
def own_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`labkit db` works on the module's lab server."""
    monkeypatch.setenv("LABKIT_HOME", str(home))
    monkeypatch.delenv("LABKIT_DATABASE_SERVER", raising=False)


@pytest.fixture
def database(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`labkit db` works on the session's server; this test has a database of its own."""
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", postgres_server.admin_url)
    name = f"looked_at_{next(_numbers)}"
    postgres_server.create_database(name)
    return name


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Runs a command that must work, and returns its JSON."""

    def run_(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document.pop("schema") == 1
        return dict(document)

    return run_


@pytest.mark.usefixtures("own_server")
def test_the_first_minutes_with_the_labs_server(shown: Shown, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    status = shown("db", "status")
    assert (status["running"], status["url"], status["databases"]) == (False, None, [])
    assert status["next"] == "labkit db start"

    started = shown("db", "start")
    assert (started["running"], started["stays"], started["next"]) == (True, True, "labkit db create NAME")
    assert started["url"].startswith("postgresql://app@127.0.0.1:")
    assert started["data"] == str(home / "postgres")

    assert shown("db", "create", "orders") == {
        "database": "orders",
        "created": True,
        "can_listen": True,
        "next": "labkit db shell orders",
    }
    assert shown("db", "status") == {**started, "databases": ["orders"], "next": "labkit db shell orders"}
    assert ":" in shown("db", "status", "--show-password")["url"].removeprefix("postgresql://").split("@")[0]

    assert run(["db", "status"]) == 0
    assert "PostgreSQL is running at postgresql://app@127.0.0.1:" in capsys.readouterr().out

    assert shown("db", "stop") == {"running": False, "stopped": True}
    assert shown("db", "stop") == {"running": False, "stopped": False}
    # What a command starts, it stops.
    assert shown("db", "tables")["database"] == "orders"
    assert not shown("db", "status")["running"]


def test_an_existing_database_is_refused_with_the_next_step(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "create", database]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"The database “{database}” exists already.",
        f"next: labkit db tables {database}",
    ]


def test_a_workspace_notes_its_databases(
    database: str, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = find_lab()
    mine = workspace.create(lab, lab.exercises[0], tmp_path / "mine")
    monkeypatch.chdir(mine.folder)
    # One that exists already is this workspace's as well, once it was asked for here.
    assert shown("db", "create", database)["created"] is False
    assert [each.name for each in workspace.read(mine.folder).record.databases] == [database]
    assert run(["db", "create", database]) == 2


def test_a_placeholder_is_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "create", "<YOUR-DATABASE>"]) == 2
    assert capsys.readouterr().err == "“<YOUR-DATABASE>” is a placeholder: put your database's own name in its place.\n"


def test_tables_are_listed_with_their_rows(database: str, postgres_server: Server, shown: Shown) -> None:
    assert shown("db", "tables", database) == {
        "database": database,
        "tables": [],
        "next": "labkit run   (use the application in the browser, then look again)",
    }
    postgres_server.query(
        database,
        'CREATE SCHEMA "Odd one"; CREATE TABLE "Odd one"."a ""b""" (x int); CREATE TABLE orders (id int PRIMARY KEY);'
        "INSERT INTO orders SELECT generate_series(1, 3)",
    )
    assert shown("db", "tables", database) == {
        "database": database,
        "tables": [{"table": 'Odd one.a "b"', "rows": 0}, {"table": "public.orders", "rows": 3}],
        "next": f"labkit db tables {database} public.orders",
    }


def test_the_rows_of_a_table_can_be_seen(
    database: str,
    postgres_server: Server,
    shown: Shown,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres_server.query(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.orders (tea text, id int PRIMARY KEY, packed bytea);"
        "INSERT INTO shop.orders SELECT 'green [bold]', n, '\\x93a268693a' FROM generate_series(1, 30) n;"
        "UPDATE shop.orders SET packed = convert_to(repeat('x', 500), 'UTF8') WHERE id = 30",
    )
    assert shown("db", "tables", database, "shop.orders", "-n", "2") == {
        "database": database,
        "table": "shop.orders",
        "columns": ["tea", "id", "packed"],
        "rows": [
            {"tea": "green [bold]", "id": "29", "packed": "\\223\\242hi:"},
            {"tea": "green [bold]", "id": "30", "packed": "x" * 400 + " … (500 bytes)"},
        ],
        "total": 30,
    }
    postgres_server.query(database, "DELETE FROM shop.orders WHERE id = 30")
    assert run(["db", "tables", database, "orders", "--limit", "3"]) == 0
    text = capsys.readouterr().out
    assert "green [bold]  28  \\223\\242hi:" in text
    assert text.endswith("the last 3 of 29 rows\n")
    monkeypatch.setattr(out, "_width", 20)
    assert run(["db", "tables", database, "orders", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["tea     green [bold]", "id      29"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tables", "no-such-one"], "Unknown database “no-such-one”."),
        (["shell", "no-such-one"], "Unknown database “no-such-one”."),
        (
            ["tables", "{database}", "nothing"],
            "Unknown table “nothing”. There are no tables yet: the application makes them when somebody uses it.\n"
            "next: labkit run   (use the application in the browser, then look again)\n",
        ),
    ],
)
def test_an_unknown_name_is_an_error(
    database: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["db", *(word.format(database=database) for word in arguments)]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_of_several_databases_one_must_be_named(
    database: str, postgres_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres_server.create_database("another_one")
    assert run(["db", "tables"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Say which database: ")
    assert database in said


def test_the_shell_takes_sql_from_a_pipe(database: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "labkit", "db", "shell", database],
        input="SELECT current_database();",
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert database in result.stdout


def test_tail_runs_the_tool_that_the_exercise_names(
    database: str, tea_folder: Path, postgres_server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    (tea_folder / "tool.py").write_text(TOOL, encoding="utf-8")
    description = tea_folder / "exercises" / "a1-brew" / "exercise.toml"
    path = (tea_folder / "tool.py").as_posix()
    table = f'[database]\nsolution = ["tea"]\nsnippet = "pour"\ntail = ["{{python}}", "{path}", "{{url}}"]\n'
    description.write_text(description.read_text() + table, encoding="utf-8")
    assert run(["db", "tail", database, "--once", "-n", "2", "--lab", str(tea_folder)]) == 0
    assert (
        capfd.readouterr().out.strip()
        == f"['{without_password(postgres_server.admin_url)}/{database}', '--once', '-n', '2'] True"
    )


@pytest.mark.parametrize(("options", "told"), [((), True), (("--once",), False)])
def test_whoever_follows_the_messages_is_told_that_more_may_come(
    database: str, tea_folder: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...], told: bool
) -> None:
    description = tea_folder / "exercises" / "a1-brew" / "exercise.toml"
    table = '[database]\nsolution = ["tea"]\nsnippet = "pour"\ntail = ["{python}", "-c", "", "{url}"]\n'
    description.write_text(description.read_text() + table, encoding="utf-8")
    assert run(["db", "tail", database, *options, "--lab", str(tea_folder)]) == 0
    said = capfd.readouterr().err
    assert ("Messages are shown as they come; waiting for more. Ctrl-C ends it." in said) is told


def test_tail_without_a_tool_says_so(database: str, tea_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "tail", database, "--lab", str(tea_folder)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "No exercise of the lab “Tea” names a tool that shows messages.",
        "next: labkit db tables",
    ]


def test_the_help_of_the_shell_teaches_listen_and_notify(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "shell", "--help"]) == 0
    text = capsys.readouterr().out
    assert "LISTEN doorbell;" in text
    assert "NOTIFY doorbell, 'Hello';" in text


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    heavy = ("psutil", "labkit.services.postgres.server")
    code = f"import sys, labkit.cli.database; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_database_is_dropped_once_that_is_confirmed(
    database: str, postgres_server: Server, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", "drop", database]) == 2  # without a terminal nobody can be asked
    assert "Add --yes to say yes." in capsys.readouterr().err
    assert database in postgres_server.databases()
    assert shown("db", "drop", database, "--yes")["dropped"]
    assert database not in postgres_server.databases()


def test_the_demo_says_nothing_into_the_line_of_what_goes_on(
    own_server: None, tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    shown = io.StringIO()
    monkeypatch.setattr(_Console, "is_terminal", property(lambda self: True))
    for each in (out, err):
        monkeypatch.setattr(each, "_file", shown)
        monkeypatch.setattr(each, "is_interactive", True)
    demo._create_databases(made, ("of_the_demo",), show.say)
    screen = pyte.Screen(200, 24)
    pyte.Stream(screen).feed(shown.getvalue().replace("\n", "\r\n"))
    assert "Starting the lab's PostgreSQL" in shown.getvalue()
    assert [line.rstrip() for line in screen.display if line.strip()] == ["$ labkit db create of_the_demo"]


def test_a_service_that_run_has_started_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = find_lab()
    made = workspace.create(lab, lab.exercise("ex2"), tmp_path / "mine")
    monkeypatch.chdir(made.folder)
    assert run(["db", "tables", "--backplane", "sqlite", "news"]) != 0
    assert "SQLite does not run for this workspace" in capsys.readouterr().err
    with services.find("sqlite").running(made.data) as url:
        with contextlib.closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")) / "news")) as file:
            file.executescript(
                "CREATE TABLE letters (id integer PRIMARY KEY, content blob);"
                "INSERT INTO letters (content) VALUES (x'48690a'), ('again'), (NULL)"
            )
        found = shown("db", "tables", "news", "--backplane", "sqlite")
        assert (found["database"], found["tables"]) == ("news", [{"table": "letters", "rows": 3}])
        assert shown("db", "tables", "news", "letters", "-n", "2", "--backplane", "sqlite") == {
            "database": "news",
            "table": "letters",
            "columns": ["id", "content"],
            "rows": [{"id": "2", "content": "again"}, {"id": "3", "content": ""}],
            "total": 3,
        }
        assert "Hi\\012" in shown("db", "tables", "news", "letters", "--backplane", "sqlite")["rows"][0]["content"]
        assert run(["db", "tables", "news", "leters", "--backplane", "sqlite"]) != 0
        assert "Did you mean letters?" in capsys.readouterr().err
        # What the app declares is what `labkit run` starts, and so what is looked into.
        declared = made.folder / "pyproject.toml"
        declared.write_text(re.sub(r"asgi-signalr==", "asgi-signalr[sql]==", declared.read_text(encoding="utf-8")))
        assert shown("db", "tables", "news")["tables"] == [{"table": "letters", "rows": 3}]
