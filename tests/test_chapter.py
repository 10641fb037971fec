"""An exercise is read from its chapter, as it is printed there."""

from pathlib import Path

import pytest

from labkit import chapter
from labkit.errors import UsageError

TEXT = """\
# Exercise 3: Tea *for* `two`

*About 25 minutes*

Water first.

## Before you begin

1. This is no step.

## Task 1: Boil

What happens here.

1. **Fill** the kettle in
   `kitchen/sink.py`: up to 3.5 cups. Then wait.

   ```console
   $ labkit start ex3
   $ cd ex3-tea
   ```

   ```text output
   Made 3 cups.
   ```

   > **Note** No step:
   >
   > 1. nor is this.

2. Wait

   1. for a minute
   2. or two.

A word between.

3. Pour, e.g. slowly! Then drink.

   ```console 2
   $ labkit snippet insert pour --set green
   ```

   ```diff kitchen/cup.py
   +cup = 1
   ```

## Summary

Tea.
"""


def read(text: str = TEXT) -> chapter.Chapter:
    return chapter.parse(text, "ex3", Path("README.md"))


def test_title_minutes_and_introduction_are_read() -> None:
    found = read()
    assert (found.title, found.minutes) == ("Tea for two", 25)
    assert found.introduction == "# Exercise 3: Tea *for* `two`\n\n*About 25 minutes*\n\nWater first.\n"


@pytest.mark.parametrize(
    ("text", "title", "minutes"),
    [
        ("# Tea\n", "Tea", 30),
        ("# Übung 2: Tee: schwarz\n\n_Etwa 5 Minuten_\n", "Tee: schwarz", 5),
        ("# Tea\n\nIn *5* minutes\n", "Tea", 30),
        ("# Tea\n\n*A while*\n", "Tea", 30),
    ],
)
def test_a_title_needs_no_number_and_the_minutes_may_be_left_out(text: str, title: str, minutes: int) -> None:
    assert (read(text).title, read(text).minutes) == (title, minutes)


def test_headings_with_a_number_are_tasks_and_their_numbered_items_steps() -> None:
    (task,) = read().tasks
    assert (task.id, task.title, task.number, task.line) == ("ex3.1", "Boil", 1, 11)
    assert task.source == TEXT[TEXT.index("## Task 1") : TEXT.index("\n## Summary")]
    assert [(step.id, step.number, step.line, step.text, step.snippet, step.command) for step in task.steps] == [
        ("ex3.1.1", 1, 15, "Fill the kettle in kitchen/sink.py.", None, "labkit start ex3"),
        ("ex3.1.2", 2, 31, "Wait", None, None),
        ("ex3.1.3", 3, 38, "Pour, e.g. slowly!", "pour", None),
    ]


def test_a_step_has_its_blocks_and_its_source_at_the_left_edge() -> None:
    fill, wait, pour = read().tasks[0].steps
    assert fill.commands == ("labkit start ex3", "cd ex3-tea")
    assert [(block.info, block.code, block.first, block.last) for block in fill.blocks] == [
        (("console",), "$ labkit start ex3\n$ cd ex3-tea\n", 18, 21),
        (("text", "output"), "Made 3 cups.\n", 23, 25),
    ]
    assert wait.source == "Wait\n\n1. for a minute\n2. or two.\n"
    assert [block.info for block in pour.blocks] == [("console", "2"), ("diff", "kitchen/cup.py")]
    assert pour.source.startswith("Pour, e.g. slowly! Then drink.\n\n```console 2\n$ labkit snippet insert pour")


def test_a_chapter_without_a_title_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        read("Tea\n")
    assert caught.value.message == "README.md does not begin with its title, “# Exercise 1: …”."


def test_a_missing_chapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        chapter.read(tmp_path / "README.md", "ex3")
    assert caught.value.message == f"{tmp_path / 'README.md'} is missing."
