"""Exercise 2 with another service in the place of PostgreSQL: the one that the app declares is started and judged."""

import sys
from pathlib import Path

import pytest

from labkit import services, workspace
from labkit.lab import find_lab
from labkit.verify.report import Report, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject

LAB = find_lab()
EX2 = LAB.exercise("ex2")
POSTGRES = '"asgi-signalr[postgres]==0.1.0"'
LINE = 'signalr.use_backplane(f"{settings.database_server}/signalr")'
EXTRAS = {"nats": "nats", "redis": "redis", "sqlite": "sql"}
TITLES = {"nats": "NATS", "redis": "Valkey", "sqlite": "SQLite"}


def solution(folder: Path, name: str, line: str = LINE) -> Path:
    """The lab's end, which declares another extra, and perhaps uses it wrongly."""
    workspace.copy_app(EX2.end, folder)
    for path, before, after in (
        ("pyproject.toml", POSTGRES, POSTGRES.replace("postgres", EXTRAS[name])),
        ("geekquiz/startup.py", LINE, line),
    ):
        file = folder / path
        text = file.read_text(encoding="utf-8")
        assert before in text
        file.write_text(text.replace(before, after), encoding="utf-8")
    return folder


def verified(folder: Path) -> Report:
    return verify(Subject(EX2, folder, "end", None))


def failed(report: Report) -> dict[str, tuple[str | None, str | None]]:
    return {
        check.id.partition("/")[2]: (result.cause, result.next)
        for check, result in report.results
        if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED)
    }


@pytest.mark.parametrize(
    ("dependencies", "service"),
    [
        ([], "postgres"),
        (["asgi-signalr==0.1.0"], "postgres"),
        (["asgi-signalr[postgres]"], "postgres"),
        (["asgi-signalr[redis]"], "redis"),
        (["asgi-signalr==0.1.0", "Asgi_SignalR[nats]==0.1.0"], "nats"),
        (["asgi-signalr[sql]"], "sqlite"),
        (["asgi-signalr[redis,postgres]"], "postgres"),
        (["asgi-signalr[sql,redis]"], "redis"),
        ("asgi-signalr[redis]", "postgres"),
    ],
)
def test_the_declared_extra_names_the_service(tmp_path: Path, dependencies: object, service: str) -> None:
    assert EX2.database is not None
    (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = {dependencies!r}\n", encoding="utf-8")
    assert services.declared(EX2.database, tmp_path) == service


@pytest.mark.parametrize("text", ["", "[project", "project = 1", "[project]"])
def test_without_a_declaration_it_is_postgresql(tmp_path: Path, text: str) -> None:
    assert EX2.database is not None
    assert services.declared(EX2.database, tmp_path) == "postgres"
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert services.declared(EX2.database, tmp_path) == "postgres"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_the_solution_passes_with_each_service(tmp_path: Path, name: str) -> None:
    if sys.platform == "win32" and name == "redis":
        pytest.skip("its wheel has none for this system")
    report = verified(solution(tmp_path / "end", name))
    assert failed(report) == {}
    assert report.passed
    titles = [check.title for check, _ in report.results if check.task in ("ex2.2", "ex2.3")]
    assert [title for title in titles if "PostgreSQL" in title or "database" in title] == []
    assert sum(TITLES[name] in title for title in titles) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line", "check", "cause", "next_"),
    [
        (
            "redis",
            LINE.replace('f"{settings.database_server}/signalr"', '"memory://"'),
            "the-tables-are-there",
            "asgi-signalr[redis] in pyproject.toml is for Valkey, the code's memory:// is not",
            "Write settings.database_server in its place, or declare the extra that fits it.",
        ),
        (
            "nats",
            'import uuid\n\n    signalr.use_backplane(f"{settings.database_server}/{uuid.uuid4().hex}")',
            "the-second-instance-hears-the-first",
            "the message of instance 1 does not reach instance 2",
            None,
        ),
        ("sqlite", "pass", "the-tables-are-there", None, None),
    ],
)
def test_a_wrong_solution_is_found_with_each_service(
    tmp_path: Path, name: str, line: str, check: str, cause: str | None, next_: str | None
) -> None:
    if sys.platform == "win32" and name == "redis":
        pytest.skip("its wheel has none for this system")
    found = failed(verified(solution(tmp_path / "wrong", name, line)))
    assert {each for each in found if each.startswith("the-database") or each == "the-package-is-declared"} == set()
    assert {check, "the-second-instance-hears-the-first", "the-first-instance-hears-the-second"} <= set(found)
    if cause:
        assert (found[check][0] or "").partition("; ")[0] == cause
    if next_:
        assert found[check][1] == next_
