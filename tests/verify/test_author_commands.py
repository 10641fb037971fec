"""What examines a lab's checks works in any lab: in a new one, and in one that shares no word with this one."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labkit import scaffold
from labkit.author import matrix
from labkit.author.generic import generic
from labkit.lab import Lab

Labkit = Callable[..., subprocess.CompletedProcess[str]]

AUTHORS = (Path(__file__).parents[2] / "docs" / "authors.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_new_lab_is_right_from_begin_to_end(labkit: Labkit, tmp_path: Path) -> None:
    lab = scaffold.new_lab("bird-watching", tmp_path / "birds")
    found = labkit("author", "check", "ex1", cwd=lab.folder)
    assert f"$ labkit author check ex1\n{found.stdout}```" in AUTHORS
    assert (found.returncode, found.stderr) == (0, "Examining ex1 …\n")


@pytest.mark.slow
def test_what_the_reference_writes_down_is_tried_in_a_new_lab(labkit: Labkit, tmp_path: Path) -> None:
    lab = scaffold.new_lab("bird-watching", tmp_path / "birds")
    (example,) = re.findall(r"```toml\n(kind = .*?)```", AUTHORS, re.DOTALL)
    (lab.exercises[0].folder / "mutants" / "more.toml").write_text(example, encoding="utf-8")
    found = labkit(
        "author", "mutants", "--only", "how visits", "--only", "for “testid”", "--format", "json", cwd=lab.folder
    )
    shown = json.loads(found.stdout)
    assert {each["name"]: (each["right"], each["problem"]) for each in shown["solutions"]} == {
        "The first visit is the only one that is counted": (False, None),
        "The visits are counted in another way": (True, None),
        "The number of visits is shown as a word": (False, None),
        "The number of visits is shown in bold": (True, None),
        "show-visits with “testdi” for “testid”": (True, None),
    }
    assert (found.returncode, shown["holds"]) == (0, True)


@pytest.mark.slow
def test_a_lab_without_mutants_of_its_own_has_those_of_its_snippets(bakery: Lab, labkit: Labkit) -> None:
    found = labkit("author", "mutants", "b1", "--only", "shelf is", "--only", "with “priec”", cwd=bakery.folder)
    assert (found.returncode, "\n2 of 2 as they should be, in " in found.stdout) == (0, True)


@pytest.mark.slow
def test_what_is_wrong_with_a_lab_is_said(bakery: Lab, labkit: Labkit) -> None:
    checks = bakery.exercises[0].checks / "test_bakery.py"
    checks.write_text(checks.read_text(encoding="utf-8").replace('"price"', '"loaves"'), encoding="utf-8")
    found = labkit("author", "check", "--format", "json", cwd=bakery.folder)
    findings = json.loads(found.stdout)["exercises"][0]["findings"]
    assert found.returncode == 1
    assert {each["what"]: each["holds"] for each in findings[-3:]} == {
        "With the snippets up to task b1.2, task b1.1 passes alone.": True,
        "With the snippets up to task b1.2, task b1.2 passes alone.": False,
        "End passes.": False,
    }
    assert findings[-1]["problems"][0].startswith(
        "b1.2/a-loaf-has-a-price not done: expected the element with data-testid “loaves” to contain text 'coins'"
    )


@pytest.mark.slow
def test_a_matrix_that_nobody_listens_to_any_more_ends_and_leaves_nothing(bakery: Lab) -> None:
    before = psutil.Process().children(recursive=True)
    outcomes = matrix.run(generic(bakery.exercises[0]), workers=2)
    first = next(outcomes)
    outcomes.close()
    assert first.solution.exercise is bakery.exercises[0]
    assert psutil.Process().children(recursive=True) == before
