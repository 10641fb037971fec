"""The manual's chapters print what the snippet files hold, and tell the same steps as exercise.toml."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit import snippets
from labkit.lab import Exercise, find_lab

LAB = find_lab(Path(__file__).parent.parent)
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of code, without its indentation."""

    language: str
    code: str


def blocks(text: str) -> list[Block]:
    return [
        Block(match["language"], re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE))
        for match in FENCE.finditer(text)
    ]


def chapter(exercise: Exercise) -> str:
    return (exercise.folder / "README.md").read_text(encoding="utf-8")


def steps(exercise: Exercise) -> list[tuple[str, list[str]]]:
    """The chapter's tasks: title, and the text of each numbered step."""
    tasks = re.split(r"^## ", chapter(exercise), flags=re.MULTILINE)[1:]
    return [
        (task.splitlines()[0].split(": ", 1)[1], re.split(r"^\d+\. +", task, flags=re.MULTILINE)[1:])
        for task in tasks
        if task.startswith("Task ")
    ]


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_every_snippet_is_printed_as_it_is_inserted(exercise: Exercise) -> None:
    found = blocks(chapter(exercise))
    printed = {}
    for command, code in itertools.pairwise(found):
        match = re.fullmatch(r"\$ labkit snippet insert ([\w-]+)\n", command.code)
        if match and command.language == "console":
            printed[match[1]] = (code.language, code.code)

    assert printed == {
        name: (snippet.path.suffix[1:].replace("py", "python"), snippets.fill(snippet.text))
        for name, snippet in exercise.snippets.items()
    }


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_the_chapter_has_the_steps_of_the_exercise(exercise: Exercise) -> None:
    assert [(title, len(texts)) for title, texts in steps(exercise)] == [
        (task.title, len(task.steps)) for task in exercise.tasks
    ]


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_each_step_of_the_chapter_names_its_command(exercise: Exercise) -> None:
    for (_, texts), task in zip(steps(exercise), exercise.tasks, strict=True):
        for text, step in zip(texts, task.steps, strict=True):
            command = f"labkit snippet insert {step.snippet}" if step.snippet else step.command
            commands = [block.code for block in blocks(text) if block.language == "console"]
            assert (f"$ {command}\n" in commands) or command is None, f"{task.id}: {step.text}"


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_every_line_of_a_console_block_is_a_labkit_command(exercise: Exercise) -> None:
    lines = [
        line for block in blocks(chapter(exercise)) if block.language == "console" for line in block.code.split("\n")
    ]

    assert [line for line in lines if line and not line.startswith("$ labkit ")] == []


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_steps_are_numbered_in_order(exercise: Exercise) -> None:
    for task in re.split(r"^## Task ", chapter(exercise), flags=re.MULTILINE)[1:]:
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", task, flags=re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
