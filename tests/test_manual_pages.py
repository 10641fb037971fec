"""The manual is whole: in the lab's folder, in each workspace, and in the terminal."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from labkit import manual
from labkit.cli import run
from labkit.lab import Exercise, Lab, find_lab

ROOT = Path(__file__).parent.parent
LAB = find_lab(ROOT)
PAGES = [*manual.pages(LAB).values(), *(exercise.chapter.path for exercise in LAB.exercises)]
each_exercise = pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@pytest.fixture
def tea_with_pages(tea_folder: Path) -> Lab:
    """The small lab with an introduction, and a page beside its chapter."""
    toml = tea_folder / "lab.toml"
    toml.write_text(toml.read_text() + 'manual = ["docs/tea.md", "docs/more"]\n')
    (tea_folder / "docs" / "more").mkdir(parents=True)
    (tea_folder / "docs" / "tea.md").write_text("# Tea\n\nRead [how](../exercises/a1-brew/README.md#task-1-boil).\n")
    (tea_folder / "docs" / "more" / "Leaves.md").write_text(
        "# Leaves\n\nPress <kbd>Enter</kbd>.\n\n![A leaf](leaf.svg)\n"
    )
    (tea_folder / "docs" / "more" / "leaf.svg").write_text("<svg/>")
    chapter = tea_folder / "exercises" / "a1-brew" / "README.md"
    chapter.write_text(
        chapter.read_text().replace(
            "## Task 1", "See [leaves](../../docs/more/Leaves.md), ![pot](pictures/pot.webp).\n\n## Task 1"
        )
    )
    (chapter.parent / "pictures").mkdir()
    (chapter.parent / "pictures" / "pot.webp").write_bytes(b"\x00")
    return find_lab(tea_folder)


@each_page
def test_every_link_leads_to_a_page_or_picture_of_the_manual(page: Path) -> None:
    assert list(manual.broken_links(LAB, page)) == []


@each_page
def test_every_anchor_is_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.split("\n")]
        assert anchor in headings


def test_diagrams_are_read_in_the_light_and_in_the_dark() -> None:
    diagrams = sorted((ROOT / "docs" / "concepts").glob("*.svg"))
    assert diagrams
    for diagram in diagrams:
        text = diagram.read_text(encoding="utf-8")
        title = ET.fromstring(text).find("{http://www.w3.org/2000/svg}title")
        assert title is not None and title.text, diagram.name
        assert "prefers-color-scheme: dark" in text, diagram.name


@each_exercise
def test_links_of_the_copy_in_a_workspace_lead_to_files_of_the_copy(exercise: Exercise) -> None:
    files = manual.files(LAB, exercise)
    for place, content in files.items():
        if place.endswith(".md"):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", content.decode("utf-8")):
                if "://" not in target:
                    found = (Path("/m") / place).parent / target
                    assert Path(re.sub(r"[^/]+/\.\./", "", found.as_posix())).relative_to("/m").as_posix() in files, (
                        target
                    )


def test_a_workspace_gets_its_chapter_and_the_pages_beside_it(tea_with_pages: Lab) -> None:
    files = manual.files(tea_with_pages, tea_with_pages.exercises[0])
    assert list(files) == ["README.md", "pictures/pot.webp", "tea.md", "more/Leaves.md", "more/leaf.svg"]
    assert files["tea.md"] == b"# Tea\n\nRead [how](README.md#task-1-boil).\n"
    assert b"See [leaves](more/Leaves.md), ![pot](pictures/pot.webp).\n" in files["README.md"]


def test_the_manual_of_a_workspace_is_none_of_its_work(
    tea_with_pages: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["start", "a1", "--lab", str(tea_with_pages.folder)]) == 0
    monkeypatch.chdir(tmp_path / "a1-brew")
    assert (Path("manual") / "more" / "leaf.svg").is_file()
    assert run(["snippet", "insert", "--all"]) == 0
    capsys.readouterr()
    assert run(["diff"]) == 0
    assert capsys.readouterr().out.startswith("Your workspace is equal to a1's end, byte for byte.\n")


def test_a_page_that_is_missing_is_named(tea_with_pages: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    (tea_with_pages.folder / "docs" / "tea.md").unlink()
    assert run(["chapter", "--lab", str(tea_with_pages.folder)]) == 2
    assert "tea.md is missing: lab.toml names it in `manual`." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "Tea\n\nRead how (labkit chapter a1).\n"),
        (["leaves"], "Leaves\n\nPress Enter.\n\n[Picture: A leaf]\n"),
        (["a1", "1"], "Task 1: Boil\n\n 1 Look at the pot\n\n    $ labkit run a1\n\n\nnext: labkit chapter a1 2\n"),
    ],
)
def test_pages_are_shown_in_the_terminal(
    tea_with_pages: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    shown: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["chapter", *arguments, "--lab", str(tea_with_pages.folder)]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert re.sub(r"\n+", "\n", "\n".join(lines)).strip() == re.sub(r"\n+", "\n", shown).strip()


def test_a_workspace_shows_its_own_chapter_and_a_task_of_it(
    tea_with_pages: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["start", "a1", "--lab", str(tea_with_pages.folder)]) == 0
    monkeypatch.chdir(tmp_path / "a1-brew")
    monkeypatch.setenv("LABKIT_LAB", str(tea_with_pages.folder))
    capsys.readouterr()
    assert run(["chapter"]) == 0
    assert capsys.readouterr().out.split("\n")[0].strip() == "Brew a pot of tea"
    assert run(["chapter", "2"]) == 0
    assert capsys.readouterr().out.split("\n")[0].strip() == "Task 2: Pour it"


def test_an_unknown_chapter_is_answered_with_those_that_there_are(
    tea_with_pages: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["chapter", "coffee", "--lab", str(tea_with_pages.folder)]) == 2
    assert capsys.readouterr().err == (
        "Unknown exercise “coffee”. There is: a1. Other pages of the manual: tea, leaves.\nnext: labkit list\n"
    )


@each_page
def test_no_word_is_broken_at_80_columns(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = next((each for each in LAB.exercises if each.chapter.path == page), None)
    assert run(["chapter", exercise.id if exercise else page.stem, "--lab", str(ROOT)]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    words = set(re.findall(r"[A-Za-z]{4,}", page.read_text(encoding="utf-8"))) | {"Picture", "labkit", "chapter"}
    names = set(re.findall(r"[A-Za-z]{4,}", " ".join([*manual.pages(LAB), *(e.id for e in LAB.exercises)])))
    assert set(re.findall(r"[A-Za-z]{4,}", shown)) - words - names == set()
