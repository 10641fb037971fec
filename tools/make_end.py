"""Write what is derived from begin and the snippets: `uv run tools/make_end.py`.

An exercise's end is its begin with every snippet inserted. An exercise that continues another begins with that one's
end: its begin is copied from there, but for the files with TODO lines, which are written by hand.
"""

from pathlib import Path

from labkit import changes, content, snippets, tree
from labkit.lab import Exercise, find_lab


def follow(former: Exercise, exercise: Exercise) -> None:
    """Make begin equal to the former exercise's end, in all files without TODO lines."""
    by_hand = {todo.path for todo in snippets.todo_lines(exercise.begin)}
    files = set(tree.app_files(former.end))
    for path in sorted(files | set(tree.app_files(exercise.begin))):
        if path not in by_hand:
            after = (former.end / path).read_bytes() if path in files else None
            if changes.content(exercise.begin / path) != after:
                changes.put(exercise.begin / path, after)


def main() -> None:
    """Go through the exercises in their order."""
    lab = find_lab(Path(__file__).parent.parent)
    for exercise in lab.exercises:
        if exercise.continues:
            follow(lab.exercise(exercise.continues), exercise)
        content.write_end(exercise)


if __name__ == "__main__":
    main()
