"""The lab's own checks on end, on begin and on a few solutions; `labkit author mutants` tries all that are known."""

import functools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import changes, insertion, workspace
from labkit.author.generic import generic
from labkit.author.matrix import examine
from labkit.author.mutants import Solution, written
from labkit.lab import Exercise, find_lab
from labkit.services.postgres.server import Server
from labkit.verify.report import Report, Result, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm

LAB = find_lab()
EX1, EX2 = LAB.exercises
QUICK = (
    "statistics-hub-class is missing",
    "notify-updates-call is missing",
    "The hubs are not mounted",
    "The message says only that there is something new",
    "There is no backplane",
)
"""The solutions that the slow tests try."""


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """A browser and a database server for all that are tried here."""
    with Warm() as kept:
        yield kept


@functools.cache
def solutions() -> dict[str, Solution]:
    """The quick ones by their names; found when the first is tried, as that takes a second."""
    every = [each for exercise in LAB.exercises for each in (*written(exercise), *generic(exercise))]
    return {each.name: each for each in reversed(every) if each.name in QUICK}


def failed(report: Report) -> dict[str, Result]:
    return {
        check.id: result for check, result in report.results if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED)
    }


@pytest.mark.parametrize("exercise", [pytest.param(EX1, marks=pytest.mark.slow), EX2], ids=lambda exercise: exercise.id)
def test_the_solution_passes(exercise: Exercise) -> None:
    report = verify(Subject(exercise, exercise.end, "end", None))
    assert failed(report) == {}
    assert (report.passed, report.exit_code) == (True, 0)


@pytest.mark.slow
@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_at_the_beginning_each_check_of_a_task_with_code_fails_for_its_own_reason(exercise: Exercise) -> None:
    report = verify(Subject(exercise, exercise.begin, "begin", None))
    coded = {task.id for task in exercise.tasks if any(step.snippet for step in task.steps)}
    results = [(check.id, result) for check, result in report.results if check.task in coded]
    assert {id_: result.verdict for id_, result in results} == {id_: Verdict.NOT_DONE for id_, _ in results}
    assert len({(result.expected, result.seen) for _, result in results}) == len(results)
    assert all(result.snippet and result.cause and result.next and result.where for _, result in results)
    first = [result.verdict for check, result in report.results if check.task == exercise.tasks[0].id]
    assert set(first) == {Verdict.PASSED}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_the_checks_are_right_about_a_solution(name: str, warm: Warm) -> None:
    outcome = examine(solutions()[name], warm)
    assert outcome.problem is None, failed(outcome.report) if outcome.report else outcome.error


@pytest.mark.slow
def test_the_backplanes_database_is_looked_for_on_the_labs_server(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", postgres_server.admin_url)
    name = f"scale_{uuid.uuid4().hex[:8]}"
    mine = workspace.create(LAB, EX2, tmp_path / "mine")
    changes.write(mine.folder, insertion.insert(mine.folder, EX2, list(EX2.snippets), {1: name}))
    subject = Subject(EX2, mine.folder, "workspace", mine)

    near = name.replace("scale", "scael")
    postgres_server.create_database(near)
    before = failed(verify(subject))
    assert list(before) == ["ex2.2/the-database-exists"]
    advice = f"labkit db create {name}, or write {near} in geekquiz/startup.py"
    assert before["ex2.2/the-database-exists"].next == advice

    postgres_server.create_database(name)
    assert failed(verify(subject)) == {}
    assert postgres_server.query(name, "SELECT 1 FROM information_schema.tables WHERE table_schema = 'signalr'") == []
