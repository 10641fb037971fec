"""Wrong and right solutions beside the checks can be made, and it is told honestly what the checks say of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labkit import declared
from labkit.author import figures, matrix
from labkit.author.generic import generic, mistyped
from labkit.author.kept import Kept
from labkit.author.matrix import Outcome
from labkit.author.mutants import Edit, Solution, sample, written
from labkit.errors import UsageError
from labkit.lab import Exercise, find_lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

LAB = find_lab(Path(__file__).parent.parent)
Labkit = Callable[..., tuple[int, str, str]]
each_exercise = pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)


def checks_of(exercise: Exercise) -> set[str]:
    """The ids of an exercise's checks."""
    return {
        f"{exercise.id}.{check.tasks[0]}/{check.name.removeprefix('test_').replace('_', '-')}"
        for check in declared.checks(exercise)
    }


@pytest.mark.slow
@each_exercise
def test_every_solution_can_be_made_and_differs_from_end(exercise: Exercise, tmp_path: Path) -> None:
    end = {path.relative_to(exercise.end): path.read_bytes() for path in exercise.end.rglob("*") if path.is_file()}
    same = []
    for number, solution in enumerate(written(exercise)):
        folder = tmp_path / str(number)
        solution.make(folder)
        made = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        same += [solution.name] if made == end else []
    assert same == []


@each_exercise
def test_every_mutant_names_a_check_that_there_is(exercise: Exercise) -> None:
    named = {solution.check for solution in written(exercise) if not solution.right}
    assert named - checks_of(exercise) == set()


@each_exercise
def test_no_two_solutions_of_a_kind_have_the_same_name(exercise: Exercise) -> None:
    names = Counter((each.kind, each.name) for each in (*written(exercise), *generic(exercise)))
    assert [name for name, count in names.items() if count > 1] == []


def test_there_are_many_of_both() -> None:
    right = Counter(solution.right for exercise in LAB.exercises for solution in written(exercise))
    assert right[False] >= 150
    assert right[True] >= 90


def test_every_lab_has_the_mutants_of_its_snippets(brew: Exercise) -> None:
    found = [(each.kind, each.name, each.without, each.hints) for each in generic(brew)]
    assert found == [
        ("a missing snippet", "pour is missing", ("pour",), ()),
        ("a missing line", 'pour without “cup = "green"”', (), ("app.py",)),
        ("a missing line", "pour without “print(cup)”", (), ("app.py",)),
        ("a mistyped name", "pour with “cpu” for “cup”", (), ("app.py", "cpu", "cup")),
        ("a mistyped name", "pour with “grene” for “green”", (), ("app.py", "grene", "green")),
        ("a mistyped name", "pour with “pritn” for “print”", (), ("app.py", "pritn", "print")),
        ("a missing snippet", "cup-label is missing", ("cup-label",), ()),
        ("a missing line", "cup-label without “<h1>Cup</h1>”", (), ("pages/cup.html",)),
        ("a mistyped name", "cup-label with “h11” for “h1”", (), ("pages/cup.html", "h11", "h1")),
    ]


def test_a_sample_has_some_of_every_kind_and_is_the_same_every_time(brew: Exercise) -> None:
    all_of_them = [
        Solution(brew, kind, f"{kind} {number}", right=right)
        for kind, count, right in (("tea", 5, False), ("tea", 2, True), ("cake", 1, False))
        for number in range(count)
    ]
    assert [(each.name, each.right) for each in sample(all_of_them, 1)] == [
        ("tea 2", False),
        ("tea 1", True),
        ("cake 0", False),
    ]
    assert [(each.name, each.right) for each in sample(all_of_them, 3)] == [
        ("tea 0", False),
        ("tea 2", False),
        ("tea 4", False),
        ("tea 0", True),
        ("tea 1", True),
        ("cake 0", False),
    ]


def test_what_is_harmless_is_an_equivalent(brew: Exercise) -> None:
    (brew.folder / "mutants").mkdir()
    (brew.folder / "mutants" / "harmless.toml").write_text(
        'kind = "harmless"\n'
        '[[harmless]]\nsnippet = "pour"\nline = "print"\nreason = "only a word"\n'
        '[[harmless]]\nsnippet = "pour"\nword = "green"\nreason = "any tea will do"\n'
    )
    assert [each.name for each in generic(brew) if each.right] == [
        "pour without “print(cup)”",
        "pour with “grene” for “green”",
    ]


def test_what_is_harmless_has_to_be_there(brew: Exercise) -> None:
    (brew.folder / "mutants").mkdir()
    (brew.folder / "mutants" / "harmless.toml").write_text(
        'kind = "harmless"\n[[harmless]]\nsnippet = "pour"\nword = "kettle"\nreason = "it is not"\n'
    )
    with pytest.raises(UsageError, match="the snippet pour has no “kettle” that could be harmless"):
        generic(brew)


@pytest.mark.parametrize(
    ("word", "text", "typo"),
    [("statistics", "", "statistisc"), ("aa", "", "aaa"), ("on", "no", "onn"), ("x1", "", "x11"), ("hub", "", "hbu")],
)
def test_a_mistyped_word_is_another_one(word: str, text: str, typo: str) -> None:
    assert mistyped(word, text) == typo


def test_a_solution_names_the_line_that_has_to_be_named(brew: Exercise, tmp_path: Path) -> None:
    edit = Edit("app.py", "print(cup)", "print(mug)")
    mutant = Solution(brew, "a", "b", right=False, edits=(edit,), cause=("mug",), at=("app.py", "print(mug)"))
    assert mutant.make(tmp_path / "app") == ("mug", "app.py:5")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (Edit("app.py", "pot", "can"), "app.py has “pot” 0 times"),
        (Edit("app.py", "cup", "can"), "app.py has “cup” 2 times"),
        (Edit("pot.py", "cup", "can"), "there is no pot.py"),
    ],
)
def test_an_edit_that_does_not_fit_is_said_with_its_solution(
    brew: Exercise, tmp_path: Path, edit: Edit, said: str
) -> None:
    mutant = Solution(brew, "tea", "No cup", right=False, edits=(edit,), source="tea.toml")
    with pytest.raises(UsageError) as caught:
        mutant.make(tmp_path / "app")
    assert caught.value.message == f"tea.toml: “No cup”: {said}."


def outcome(brew: Exercise, verdict: Verdict, said: str | None, **more: object) -> Outcome:
    """What there is to say about a solution of which one check, a1.2/full, has this result."""
    solution = Solution(brew, "tea", "No cup", **{"right": False, "check": "a1.2/full", **more})  # type: ignore[arg-type]
    check = Check("a1.2/full", "The cup is full.", "a1.2", 60)
    report = Report("a1", "end", 1.0, (TaskReport("a1.2", "Pour it", ((check, Result(verdict, cause=said)),)),))
    return Outcome(solution, 1.0, report, solution.cause)


@pytest.mark.parametrize(
    ("verdict", "said", "more", "problem"),
    [
        (Verdict.NOT_DONE, "the cup has a hole", {"cause": ("hole",)}, None),
        (Verdict.NOT_DONE, "the cup has a hole", {"cause": ("hole", "app.py:3")}, "cause not named"),
        (Verdict.NOT_DONE, "the cup has a hole", {"hints": ("app.py", "cup")}, None),
        (Verdict.NOT_DONE, "the cup has a hole", {"hints": ("app.py", "mug")}, "cause not named"),
        (Verdict.NOT_DONE, "the cup has a hole", {"check": "a1.2/warm"}, "killed by another check"),
        (Verdict.NOT_DONE, None, {}, "cause not named"),
        (Verdict.TIMED_OUT, "it hangs", {}, None),
        (Verdict.CHECKER, "KeyError", {}, "blamed on the lab"),
        (Verdict.ENVIRONMENT, "no browser", {}, "blamed on the lab"),
        (Verdict.PASSED, None, {}, "survived"),
        (Verdict.PASSED, None, {"right": True}, None),
        (Verdict.NOT_DONE, "the cup has a hole", {"right": True}, "refused"),
    ],
)
def test_what_is_wrong_with_the_checks_is_said_in_words(
    brew: Exercise, verdict: Verdict, said: str | None, more: dict[str, object], problem: str | None
) -> None:
    found = outcome(brew, verdict, said, **more)
    assert (found.problem, found.holds) == (problem, problem is None)


def test_what_is_known_holds_until_it_is_mended(brew: Exercise) -> None:
    assert outcome(brew, Verdict.PASSED, None, known="nobody looks").holds
    assert not outcome(brew, Verdict.NOT_DONE, "a hole", known="nobody looks").holds


def test_outcomes_that_were_kept_are_gone_on_from(brew: Exercise, tmp_path: Path) -> None:
    found = outcome(brew, Verdict.NOT_DONE, "the cup has a hole", cause=("hole",))
    Kept(tmp_path / "found.jsonl").add(found)
    other = Solution(brew, "tea", "Another", right=False)
    assert Kept(tmp_path / "found.jsonl").of([other, found.solution]) == [found]
    assert Kept(tmp_path / "none.jsonl").of([found.solution]) == []


def test_what_is_kept_is_told_without_verifying_more(brew: Exercise, labkit: Labkit, tmp_path: Path) -> None:
    file, lab = tmp_path / "found.jsonl", str(brew.folder.parent.parent)
    pour = next(each for each in generic(brew) if each.name == "pour is missing")
    Kept(file).add(replace(outcome(brew, Verdict.NOT_DONE, "the snippet pour"), solution=pour))
    code, said, _ = labkit("author", "mutants", "--lab", lab, "--keep", str(file), "--kept-only")
    assert (code, said.splitlines()[-1]) == (0, "1 of 1 as they should be, in 0 s.")
    code, _, said = labkit("author", "mutants", "--lab", lab, "--kept-only")
    assert (code, said.splitlines()[0]) == (2, "--kept-only needs a file.")


@pytest.mark.parametrize(
    ("second", "code", "last"),
    [
        ("the snippet pour", 0, "1 of 1 as they should be"),
        ("nothing that helps", 1, "0 of 1 as they should be"),
    ],
)
def test_what_is_wrong_twice_counts(
    brew: Exercise,
    labkit: Labkit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    second: str,
    code: int,
    last: str,
) -> None:
    pour = next(each for each in generic(brew) if each.name == "pour is missing")
    file, lab = tmp_path / "found.jsonl", str(brew.folder.parent.parent)
    first = replace(outcome(brew, Verdict.NOT_DONE, "it is too late"), solution=pour, named=pour.cause)
    Kept(file).add(first)

    def found(solution: Solution, *_: object) -> Outcome:
        return replace(first, solution=solution, report=outcome(brew, Verdict.NOT_DONE, second).report)

    monkeypatch.setattr(matrix, "examine", found)
    command = ("author", "mutants", "--lab", lab, "--keep", str(file), "--only", "pour is missing")
    assert labkit(*command, "--kept-only")[0] == 1
    got, said, told = labkit(*command, "--again")
    assert got == code
    assert told.splitlines()[0].startswith(f"once more {'✗' if code else '✓'} a1  a missing snippet: pour is missing")
    unsteady = "unsteady  pour is missing  a1-brew, at first cause not named"
    assert (unsteady in said) == (code == 0)
    assert last in said
    (kept,) = Kept(file).of([pour])
    assert (kept.before, kept.holds) == ("cause not named", code == 0)


def test_the_first_that_is_wrong_twice_is_the_last_that_is_tried(
    brew: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [outcome(brew, Verdict.PASSED, None, check=None, cause=(str(number),)) for number in range(3)]
    monkeypatch.setattr(matrix, "examine", lambda solution, *_: replace(outcomes[0], solution=solution))
    found = list(matrix.again([outcome(brew, Verdict.PASSED, None, right=True), *outcomes]))
    assert [(each.solution.cause, each.before) for each in found] == [(("0",), "survived")]


def test_what_has_to_be_named_is_judged_anew(brew: Exercise, tmp_path: Path) -> None:
    found = outcome(brew, Verdict.NOT_DONE, "the cup has a hole", cause=("crack",))
    Kept(tmp_path / "found.jsonl").add(found)
    mended = replace(found.solution, cause=("hole",))
    (again,) = Kept(tmp_path / "found.jsonl").of([mended])
    assert (found.problem, again.problem) == ("cause not named", None)
    edited = replace(found.solution, edits=(Edit("app.py", "cup", "mug"),))
    assert Kept(tmp_path / "found.jsonl").of([edited]) == []


def test_a_file_that_has_no_outcomes_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Notes\n")
    with pytest.raises(UsageError, match="line 1, is no outcome"):
        Kept(tmp_path / "notes.txt")


def test_a_wrong_solution_that_takes_too_long_is_told(brew: Exercise) -> None:
    right = outcome(brew, Verdict.PASSED, None, right=True)
    wrong = replace(outcome(brew, Verdict.NOT_DONE, "a hole"), seconds=3.5)
    assert figures.slow([right, wrong, outcome(brew, Verdict.NOT_DONE, "a hole")]) == [(wrong, 3.5)]


def test_the_figures_take_their_place_in_a_page(brew: Exercise) -> None:
    outcomes = [
        outcome(brew, Verdict.NOT_DONE, "the cup has a hole"),
        outcome(brew, Verdict.PASSED, None),
        outcome(brew, Verdict.PASSED, None, right=True),
    ]
    text = f"Before\n\n{figures.BEGINS}\n\nold\n\n{figures.ENDS}\n\nAfter\n"
    assert figures.page(text, outcomes, "Today.") == (
        "Before\n\n<!-- figures: labkit author mutants --write -->\n\nToday.\n\n"
        "|  | kind | wrong killed | cause named | right accepted | slowest wrong |\n|---|---|---|---|---|---|\n"
        "| a1 | tea | 1 of 2 | 1 of 2 | 1 of 1 | 1.0 times |\n"
        "|  | all | 1 of 2 | 1 of 2 | 1 of 1 | 1.0 times |\n\n"
        "<!-- end of figures -->\n\nAfter\n"
    )
    with pytest.raises(UsageError, match="has no place for the figures"):
        figures.page("Nothing", outcomes, "")
