"""Receipts: verdicts that a trainee's machine has signed stand for that work, and for nothing else."""

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit import packing, receipts, tree
from labkit.errors import UsageError
from labkit.grading import archives, classes, rechecking
from labkit.grading.crew import Order
from labkit.grading.grades import Grade, Outcome, Standing
from labkit.grading.results import Results
from labkit.lab import Exercise, Lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.workspace import Workspace

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def report(brew: Exercise, verdict: Verdict = Verdict.PASSED) -> Report:
    tasks = (
        TaskReport(task.id, task.title, ((Check(f"{task.id}/cup", "The cup.", task.id, 5.0), Result(verdict)),))
        for task in brew.tasks
    )
    return Report(brew.id, "workspace", 1.0, tuple(tasks))


@pytest.fixture
def signed(tea: Lab, brew: Exercise, mine: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a receipt on what is in it."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    return receipts.write(mine.folder, tea, brew, report(brew), tree.digest(mine.folder), AT)


def test_a_receipt_says_what_was_signed(tea: Lab, brew: Exercise, signed: Path) -> None:
    found = receipts.read(signed.parent, tea, brew)
    assert found is not None
    assert (found.when, found.report.passed, found.report.to_json()["tasks"][1]["checks"][0]["title"]) == (
        AT,
        True,
        "The cup.",
    )


def test_a_receipt_is_none_on_other_work_other_verdicts_other_checks_and_in_other_words(
    tea: Lab, brew: Exercise, signed: Path
) -> None:
    text = signed.read_text("utf-8")

    def is_one(changed: str) -> bool:
        signed.write_text(changed, "utf-8")
        return receipts.read(signed.parent, tea, brew) is not None

    assert is_one(text)
    changed = (
        text.replace('"passed"', '"skipped"'),
        text.replace("2026-11-30", "2026-11-29"),
        json.dumps({**json.loads(text), "key": "AAAA"}),
        "no JSON",
        "",
    )
    assert [is_one(each) for each in changed] == [False] * 5
    signed.write_text(text, "utf-8")
    assert receipts.read(signed.parent, replace(tea, version="99"), brew) is None
    (signed.parent / "app.py").write_text("other = work\n", "utf-8")
    assert receipts.read(signed.parent, tea, brew) is None


def test_a_receipt_is_no_part_of_the_work_and_is_handed_in_with_it(
    tea: Lab, brew: Exercise, mine: Workspace, signed: Path, tmp_path: Path
) -> None:
    digest = tree.digest(signed.parent)
    packed = packing.pack(mine, brew, tmp_path / "ann.zip", "Ann", AT)
    archives.unpack(packed.file, tmp_path / "unpacked")
    (top,) = (tmp_path / "unpacked").iterdir()
    # The name that packing puts into the record, and the verdicts beside the work, change nothing of it.
    (top / packing.VERDICTS).unlink()
    assert tree.digest(top) == digest
    assert receipts.read(top, tea, brew) is not None


# Grading by them.


@pytest.fixture
def orders(tea: Lab, brew: Exercise, mine: Workspace, signed: Path, tmp_path: Path) -> Callable[..., classes.Class]:
    """A class of ten: seven with a receipt."""
    class_ = tmp_path / "class"
    for number in range(10):
        folder = class_ / f"t{number}" / brew.name
        folder.mkdir(parents=True)
        for path in (*tree.app_files(mine.folder), "lab-workspace.toml", *([receipts.NAME] if number < 7 else [])):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((mine.folder / path).read_bytes())

    def gather(results: Results, with_receipts: bool = True) -> classes.Class:
        return classes.gather(tea, [class_], None, results, with_receipts=with_receipts)

    return gather


def verdicts(verdict: Verdict, graded: list[int]) -> Callable[[Sequence[Order]], Generator[Grade, None, None]]:
    """Whoever grades: says the same of all, and notes how many there were."""

    def grade(orders: Sequence[Order]) -> Generator[Grade, None, None]:
        graded.append(len(orders))
        for order in orders:
            yield replace(order.begun, outcome=Outcome.VERIFIED, report=report(order.exercise, verdict), when=AT)

    return grade


def test_some_receipts_are_checked_anew_and_the_others_stand(
    orders: Callable[..., classes.Class], tmp_path: Path
) -> None:
    results = Results(tmp_path / "grades")
    with results.writing():
        found = orders(results)
        graded: list[int] = []
        grades = list(rechecking.graded(found.orders, found.receipts, 0.2, verdicts(Verdict.PASSED, graded)))
        assert (len(found.receipts), graded, len(grades)) == (7, [3 + 2], 10)
        standing = [each.receipt for each in grades]
        assert (standing.count(Standing.TAKEN), standing.count(Standing.CONFIRMED), standing.count(None)) == (5, 2, 3)
        assert all(each.passed for each in grades)
        assert {each.remark for each in grades if each.receipt is Standing.TAKEN} == {
            f"By the receipt of {AT.astimezone():%Y-%m-%d %H:%M}, not checked anew."
        }
        for each in grades:
            results.put(each)
        # What stands by its receipt does so only as long as somebody asks for receipts.
        assert (orders(results).again, orders(results, with_receipts=False).again) == (10, 5)


def test_a_receipt_that_is_contradicted_brings_all_of_them_down(
    orders: Callable[..., classes.Class], tmp_path: Path
) -> None:
    results = Results(tmp_path / "grades")
    with results.writing():
        found = orders(results)
        graded: list[int] = []
        grades = list(rechecking.graded(found.orders, found.receipts, 0.01, verdicts(Verdict.NOT_DONE, graded)))
    assert (graded, len({each.key for each in grades})) == ([3 + 1, 6], 10)
    assert [each.receipt for each in grades].count(Standing.CONTRADICTED) == 7
    assert not any(each.passed for each in grades)


@pytest.mark.parametrize("text", ["20", "nine%", "-1%", "101%", "%", "nan%"])
def test_a_share_is_in_percent(text: str) -> None:
    assert (rechecking.share("20%"), rechecking.share("0%"), rechecking.share("2.5 %")) == (0.2, 0.0, 0.025)
    with pytest.raises(UsageError, match="in percent"):
        rechecking.share(text)
