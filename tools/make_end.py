"""Write what is derived from begin and the snippets: `uv run tools/make_end.py`.

An exercise's end is its begin with every snippet inserted. An exercise that continues the one before begins with that
one's end: its begin is copied from there, but for the files with TODO lines, which are written by hand.
"""

import shutil
from pathlib import Path

from labkit import changes, snippets, tree
from labkit.lab import Exercise, find_lab


def copy(source: Path, target: Path) -> None:
    """Make `target` a copy of the app in `source`."""
    shutil.rmtree(target, ignore_errors=True)
    for file in tree.app_files(source):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)


def make_begin(exercise: Exercise, former: Exercise) -> None:
    """Write begin anew from the former exercise's end; its files with TODO lines stay as they are."""
    by_hand = {todo.path for todo in snippets.todo_lines(exercise.begin)}
    kept = {path: (exercise.begin / path).read_bytes() for path in by_hand}
    copy(former.end, exercise.begin)
    for path, content in kept.items():
        (exercise.begin / path).write_bytes(content)


def make_end(exercise: Exercise) -> None:
    """Write end anew."""
    copy(exercise.begin, exercise.end)
    changes.write(exercise.end, snippets.insert(exercise.end, exercise, list(exercise.snippets)))


def main() -> None:
    """Go through the exercises in their order."""
    exercises = find_lab(Path(__file__).parent.parent).exercises
    for number, exercise in enumerate(exercises):
        if number > 0:
            make_begin(exercise, exercises[number - 1])
        make_end(exercise)


if __name__ == "__main__":
    main()
