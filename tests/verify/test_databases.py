"""Which databases count as a trainee's, here and on another machine."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit import workspace
from labkit.lab import find_lab
from labkit.verify import databases
from labkit.verify.databases import Found
from labkit.workspace import Workspace

LAB = find_lab()
EX2 = LAB.exercise("ex2")
HERE, RECORD, CODE = (
    "the lab's PostgreSQL server",
    "the record that came with the workspace, lab-workspace.toml",
    "the code, and verify's own PostgreSQL server",
)
LINE = 'signalr.use_backplane(f"{settings.database_server}/signalr")'


@pytest.fixture
def mine(tmp_path: Path) -> Workspace:
    """A workspace of exercise 2, made here: with a home of its own, in which no server ever ran."""
    return workspace.create(LAB, EX2, tmp_path / "mine")


def carried(mine: Workspace) -> Workspace:
    """The same workspace as it arrives on another machine: labkit's own part was made anew there."""
    path = mine.folder / ".labkit" / "workspace.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**described, "home": None}), encoding="utf-8")
    return workspace.read(mine.folder)


def test_where_the_workspace_was_made_the_labs_server_tells(mine: Workspace) -> None:
    assert mine.made_here
    mine.note_database("signalr", datetime(2026, 1, 2, tzinfo=UTC))
    assert databases.of(mine, "signalr") == Found((), HERE, (), ())


def test_elsewhere_the_record_tells_and_without_one_the_code(mine: Workspace) -> None:
    other = carried(mine)
    assert not other.made_here
    assert databases.of(other, None) == Found((), CODE)
    assert databases.of(other, "signalr") == Found(("signalr",), CODE)
    other.note_database("news", datetime(2026, 1, 2, tzinfo=UTC))
    assert databases.of(other, "signalr") == Found(("news",), RECORD)


def test_a_workspace_under_another_home_was_made_elsewhere(
    mine: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "another"))
    assert not workspace.read(mine.folder).made_here


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (LINE, "signalr"),
        (LINE.replace("/signalr", "/signalr?sslmode=disable"), "signalr"),
        (LINE.replace("/signalr", "/{DATABASE}"), "news"),
        (LINE.replace("/signalr", "/{settings.DATABASE}"), "news"),
        (LINE.replace("/signalr", "/{os.environ['X']}"), None),
        (LINE.replace("/signalr", "/{UNKNOWN}"), None),
        ("pass", None),
    ],
)
def test_the_name_in_the_code_is_a_databases_name(tmp_path: Path, code: str, name: str | None) -> None:
    workspace.copy_app(EX2.end, tmp_path)
    startup = tmp_path / "geekquiz" / "startup.py"
    text = startup.read_text(encoding="utf-8")
    startup.write_text(text.replace(LINE, code), encoding="utf-8")
    settings = tmp_path / "geekquiz" / "settings.py"
    settings.write_text(settings.read_text(encoding="utf-8") + 'DATABASE: str = "news"\n', encoding="utf-8")
    assert EX2.database is not None
    assert databases.named(EX2, EX2.database, tmp_path) == name


def test_a_solution_has_those_of_the_exercise() -> None:
    assert EX2.database is not None
    found = [databases.of_solution(EX2.database, kind).names for kind in ("begin", "end")]
    assert found == [(), ("signalr",)]
    assert [databases.is_name(name) for name in ("signalr", "{DATABASE}")] == [True, False]
