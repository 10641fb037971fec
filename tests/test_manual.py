"""The manual's chapters print what the snippet files hold, and name commands that there are."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from labkit import snippets
from labkit.author import surroundings
from labkit.cli import app
from labkit.lab import Exercise, find_lab

LAB = find_lab(Path(__file__).parent.parent)
each_exercise = pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)


def marked(code: str, mark: str) -> str:
    """The lines of a diff with this mark, at the left edge."""
    lines = [line[1:] for line in code.splitlines() if line.startswith(mark)]
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "".join(f"{line[indent:]}\n" for line in lines)


@each_exercise
def test_what_is_marked_as_new_is_the_snippet(exercise: Exercise) -> None:
    printed = {
        step.snippet: marked(block.code, "+")
        for task in exercise.tasks
        for step in task.steps
        if step.snippet and (block := surroundings.block_of(step))
    }
    assert printed == {name: snippets.fill(snippet.text) for name, snippet in exercise.snippets.items()}


@each_exercise
def test_what_is_replaced_is_the_todo_line_and_the_rest_is_in_the_file(exercise: Exercise) -> None:
    for task in exercise.tasks:
        for step in task.steps:
            block = surroundings.block_of(step)
            if block is None:
                continue
            path = block.info[1]
            assert marked(block.code, "-").split(":")[0].endswith(f"TODO {step.snippet}")
            end = (exercise.end / path).read_text(encoding="utf-8").splitlines()
            begin = (exercise.begin / path).read_text(encoding="utf-8").splitlines()
            around = [line[1:] for line in block.code.splitlines() if line[:1] in ("", " ") and line.strip(" …")]
            assert [line for line in around if line not in end and line not in begin] == [], step.id


@each_exercise
def test_every_command_of_the_chapter_is_one_of_labkits(exercise: Exercise) -> None:
    root = get_command(app)
    for block in exercise.chapter.blocks:
        for line in block.commands:
            words = shlex.split(line)
            if words[0] == "cd":
                continue
            assert words[0] == "labkit", line
            command = root
            for word in words[1:]:
                subcommands = getattr(command, "commands", None)
                if not subcommands:
                    break
                assert word in subcommands, line
                command = subcommands[word]
            options = {name for parameter in command.params for name in parameter.opts}
            assert {word for word in words if re.match("--?[a-z]", word)} <= options, line
