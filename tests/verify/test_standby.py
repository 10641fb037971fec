"""What stands ready between two runs: a save of a page needs no start of the app; a verdict is of what is saved."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import scaffold, workspace
from labkit.lab import Exercise, find_lab
from labkit.verify import standby
from labkit.verify.report import Report
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm

pytestmark = pytest.mark.slow


class Told(Progress):
    def __init__(self) -> None:
        self.works: list[str] = []

    def working(self, what: str) -> None:
        self.works.append(what)


@pytest.fixture(scope="module")
def exercise(tmp_path_factory: pytest.TempPathFactory) -> Exercise:
    """The exercise of a lab that was just made: its app reads page.html anew, and counts its visits."""
    return find_lab(scaffold.new_lab("party", tmp_path_factory.mktemp("lab") / "party").folder).exercises[0]


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as kept:
        yield kept


@pytest.fixture
def subject(exercise: Exercise, tmp_path: Path) -> Subject:
    """A workspace that is done."""
    workspace.copy_app(exercise.end, tmp_path / "mine")
    return Subject(exercise, tmp_path / "mine", "workspace", None)


def run(subject: Subject, warm: Warm) -> tuple[Report, bool]:
    """Verify; the report, and whether the app had to be started for it."""
    told = Told()
    report = verify(subject, progress=told, warm=warm)
    return report, "Starting the app" in told.works


def test_a_save_of_a_page_needs_no_start_and_one_of_code_does(subject: Subject, warm: Warm) -> None:
    app, page = subject.folder / "app.py", subject.folder / "page.html"
    assert [run(subject, warm)[0].passed, warm.started] == [True, True]

    warm.prepare(subject)
    whole = page.read_text(encoding="utf-8")
    page.write_text(whole.replace("$visits", "many"), encoding="utf-8")
    report, started = run(subject, warm)
    assert (report.passed, started) == (False, False)

    warm.prepare(subject)
    page.write_text(whole, encoding="utf-8")
    (subject.folder / "another.html").write_text("<p>Nothing refers to it.", encoding="utf-8")
    report, started = run(subject, warm)
    assert (report.passed, started) == (True, False)

    warm.prepare(subject)
    app.write_text(app.read_text(encoding="utf-8") + "\n# a save\n", encoding="utf-8")
    report, started = run(subject, warm)
    assert (report.passed, started) == (True, True)

    warm.prepare(subject)
    (subject.folder / ".venv").mkdir()
    (subject.folder / ".venv" / "pyvenv.cfg").touch()  # its packages are others now
    assert run(subject, warm)[1]

    warm.prepare(subject)
    warm.rest()
    assert run(subject, warm)[1]


def test_nothing_is_prepared_of_an_app_that_does_not_start(subject: Subject, warm: Warm) -> None:
    app = subject.folder / "app.py"
    whole = app.read_text(encoding="utf-8")
    app.write_text("raise SystemExit('no')\n", encoding="utf-8")
    assert [run(subject, warm)[0].passed, warm.started] == [False, False]
    warm.prepare(subject)
    assert warm.standby(subject) is None
    app.write_text(whole, encoding="utf-8")
    report, started = run(subject, warm)
    assert (report.passed, started) == (True, True)


@pytest.mark.parametrize("service", ["redis", "sqlite"])
def test_a_copy_that_stands_by_has_the_service_that_its_app_declares(tmp_path: Path, service: str) -> None:
    the_exercise = find_lab().exercise("ex2")
    workspace.copy_app(the_exercise.end, tmp_path / "mine")
    project = tmp_path / "mine" / "pyproject.toml"
    extra = {"redis": "redis", "sqlite": "sql"}[service]
    project.write_text(project.read_text(encoding="utf-8").replace("[postgres]", f"[{extra}]"), encoding="utf-8")
    subject = Subject(the_exercise, tmp_path / "mine", "workspace", None)
    made = standby.make(subject, lambda: pytest.fail("there is no use for PostgreSQL"))
    assert made
    with made:
        assert (made.copy.server, (made.copy.url or "").partition(":")[0]) == (None, service)
        assert made.copy.instances.silent(10) == []
        (tmp_path / "mine" / "geekquiz" / "templates" / "error.html").write_text("<p>Another one.", encoding="utf-8")
        assert made.follow(subject)
        project.write_text(project.read_text(encoding="utf-8") + "\n# a save\n", encoding="utf-8")
        assert not made.follow(subject)
