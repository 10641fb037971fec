"""A class of thirty in the real lab: recorded mistakes, other right solutions, and work that means harm."""

import itertools
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labkit import record
from labkit.author.mutants import Solution, written
from labkit.grading import archives, classes, crew
from labkit.grading.grades import Grade, Outcome
from labkit.grading.limits import Limits
from labkit.grading.results import Results
from labkit.lab import Exercise, Lab, carried_lab, find_lab
from labkit.record import Record

LIMITS = Limits(seconds=240, memory=700_000_000, processes=40, disk=60_000_000)

TRIES = "import os, socket\ntry:\n    {deed}\nexcept OSError:\n    pass\n"
"""Code that tries something, and goes on like the right solution whether it may or not."""

AT_START = {
    "forks": (
        "import os, time\nfor _ in range(60):\n    os.fork() or time.sleep(600)\n",
        "The app started more than 40 processes, and was ended.",
    ),
    "hoards": ("hoard = bytearray(b'1') * 900_000_000\n", "The app used more than 0.7 GB of memory, and was ended."),
    "writes": (
        "import time\nopen('film', 'wb').write(bytes(90_000_000))\ntime.sleep(600)\n",
        "The app wrote more than 60 MB to the disk, and was ended.",
    ),
    "squats": (TRIES.format(deed="socket.socket().bind(('127.0.0.1', 8123))"), "The app tried to take port 8123."),
    "reads": (TRIES.format(deed="open({other!r}).read()"), "The app tried to read the work of others, {other}."),
    "looks": (
        TRIES.format(deed=f"os.listdir({tempfile.gettempdir()!r})"),
        f"The app looked round outside of its own folder, in {tempfile.gettempdir()}.",
    ),
    "enters": (
        TRIES.format(deed="open('/proc/4194300/environ').read()"),
        "The app tried to get into another process, /proc/4194300/environ.",
    ),
}
"""What the app does as it starts, and what is said of it."""


@pytest.fixture
def lab() -> Lab:
    return find_lab(carried_lab())


@pytest.fixture
def hand_in(lab: Lab, tmp_path: Path) -> Callable[[str, Solution], Path]:
    """Puts a solution into the class, under somebody's name."""

    def hand_in(name: str, solution: Solution) -> Path:
        folder = tmp_path / "class" / name / solution.exercise.name
        solution.make(folder)
        record.write(folder, Record(lab.title, lab.version, solution.exercise.name, None))
        return folder

    return hand_in


def written_down(exercise: Exercise, right: bool) -> Iterator[Solution]:
    """Solutions of as many kinds as there are, one of each kind after the other."""
    some = [each for each in written(exercise) if each.known is None and each.right is right]
    kinds = [list(group) for _, group in itertools.groupby(sorted(some, key=kind_of), key=kind_of)]
    return (each for each in itertools.chain.from_iterable(itertools.zip_longest(*kinds)) if each)


def kind_of(solution: Solution) -> str:
    return solution.kind


@pytest.fixture
def grades(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Grade]]:
    """Grades what was handed in, two at a time; the number is checked."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))

    def grades(count: int) -> dict[str, Grade]:
        results = Results(tmp_path / "grades")
        with results.writing():
            class_ = classes.gather(lab, [tmp_path / "class"], None, results)
            found = {each.name: each for each in (*class_.known, *crew.grade(lab, class_.orders, 2, LIMITS))}
        assert len(found) == count
        return found

    return grades


Grades = Callable[[int], dict[str, Grade]]
HandIn = Callable[[str, Solution], Path]


@pytest.mark.by_hand  # three minutes on two free cores
@pytest.mark.timeout(1800)
def test_ten_right_solutions_pass(lab: Lab, hand_in: HandIn, grades: Grades) -> None:
    exercise = lab.exercise("ex1")
    hand_in("end", Solution(exercise, "end", "end", right=True))
    for number, solution in enumerate(itertools.islice(written_down(exercise, right=True), 9)):
        hand_in(f"right-{number}", solution)
    found = grades(10)
    assert {name: each.passed for name, each in found.items()} == dict.fromkeys(found, True), remarks(found)


@pytest.mark.by_hand  # three minutes on two free cores
@pytest.mark.timeout(1800)
def test_ten_recorded_mistakes_do_not_pass(lab: Lab, hand_in: HandIn, grades: Grades) -> None:
    for number, solution in enumerate(itertools.islice(written_down(lab.exercise("ex1"), right=False), 10)):
        hand_in(f"wrong-{number}", solution)
    found = grades(10)
    said = {name: (each.outcome, each.passed) for name, each in found.items()}
    assert said == dict.fromkeys(found, (Outcome.VERIFIED, False)), remarks(found)


@pytest.mark.by_hand  # three minutes on two free cores; the next one has some of it
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is tried is Linux's")
def test_each_of_ten_that_mean_harm_is_named_for_what_it_did(
    lab: Lab, hand_in: HandIn, grades: Grades, tmp_path: Path
) -> None:
    exercise = lab.exercise("ex1")
    end = Solution(exercise, "end", "end", right=True)
    hand_in("end", end)
    other = Results(tmp_path / "grades").staged("end-ex1") / "geekquiz" / "main.py"
    for name, (code, _) in AT_START.items():
        does_at_start(hand_in(name, end), code.replace("{other!r}", repr(str(other))))
    (hand_in("leads-out", end) / "geekquiz" / "secrets.txt").symlink_to("/etc/passwd")
    fakes = hand_in("fakes", next(written_down(exercise, right=False)))
    (fakes / "conftest.py").write_text("def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n", "utf-8")
    (fakes / "pytest.ini").write_text("[pytest]\naddopts = --co\n", "utf-8")
    with zipfile.ZipFile(tmp_path / "class" / "bomb.zip", "w") as archive:
        for number in range(archives.MOST_FILES + 1):
            archive.writestr(f"ex1-realtime/{number}", "")
    found = grades(11)
    said = {name: text.replace("{other}", str(other)) for name, (_, text) in AT_START.items()}
    said |= {
        "leads-out": "geekquiz/secrets.txt is a link that leads out, to /etc/passwd.",
        "bomb": f"The archive has more than {archives.MOST_FILES:,} files.",
    }
    assert remarks(found) == said
    assert {name for name, each in found.items() if each.passed} == {"end"}
    assert found["fakes"].outcome is Outcome.VERIFIED


@pytest.mark.by_hand  # half a minute on two free cores: a first look at the one above
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is tried is Linux's")
def test_a_right_solution_that_pries_is_named_for_each_deed_and_costs_its_neighbour_nothing(
    lab: Lab, hand_in: HandIn, grades: Grades, tmp_path: Path
) -> None:
    end = Solution(lab.exercise("ex1"), "end", "end", right=True)
    hand_in("end", end)
    other = Results(tmp_path / "grades").staged("end-ex1") / "geekquiz" / "main.py"
    deeds = {name: AT_START[name] for name in ("squats", "reads", "looks", "enters")}
    code = "".join(code for code, _ in deeds.values()).replace("{other!r}", repr(str(other)))
    does_at_start(hand_in("pries", end), code)
    found = grades(2)
    said = " ".join(text.replace("{other}", str(other)) for _, text in deeds.values())
    assert (remarks(found), found["end"].passed, found["pries"].passed) == ({"pries": said}, True, False)


def does_at_start(folder: Path, code: str) -> None:
    """Have the app do that before anything else."""
    main = folder / "geekquiz" / "main.py"
    main.write_text(code + main.read_text("utf-8"), "utf-8")


def remarks(grades: dict[str, Grade]) -> dict[str, str]:
    """What is said beside the verdicts."""
    return {name: each.remark for name, each in grades.items() if each.remark}
