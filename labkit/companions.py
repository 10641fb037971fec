"""What `labkit start` puts beside the app in a workspace: packages, the manual, settings of tools, editors' snippets.

None of it is the app's (`tree.BESIDE` names it for the root folder), and all of it can be made again.
"""

import json
import shutil
from pathlib import Path

from labkit import manual, snippets
from labkit.files import write_whole
from labkit.lab import Exercise, Lab

TEMPLATE = Path(__file__).parent / "templates" / "workspace"

WHEELS = "wheels"


def write(lab: Lab, exercise: Exercise, folder: Path) -> None:
    """Write them into the folder, in place of earlier ones."""
    _write_packages(lab, folder)
    _write_manual(lab, exercise, folder)
    if not (folder / ".gitignore").exists():  # a trainee's own stays
        write_whole(folder / ".gitignore", (TEMPLATE / "gitignore").read_bytes())
    _write_editor_snippets(exercise, folder)


def _write_packages(lab: Lab, folder: Path) -> None:
    """The lab's own packages as wheels, and uv's settings, which name their folder by its name alone."""
    if not lab.packages:
        return
    from labkit import packages

    wheels = folder / WHEELS
    _clear(wheels)
    for name in lab.packages:
        file_name, content = packages.wheel(name)
        write_whole(wheels / file_name, content)
    write_whole(folder / "uv.toml", (TEMPLATE / "uv.toml").read_bytes())


def _write_manual(lab: Lab, exercise: Exercise, folder: Path) -> None:
    """The manual, to be read in an editor and without the lab."""
    _clear(folder / manual.FOLDER)
    for path, content in manual.files(lab, exercise).items():
        write_whole(folder / manual.FOLDER / path, content)


def _clear(folder: Path) -> None:
    """Remove what another version of the lab has left there."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)


def _write_editor_snippets(exercise: Exercise, folder: Path) -> None:
    """Snippets for Visual Studio Code, which has them in the folder that is opened."""
    texts = {todo.name: todo.text for todo in snippets.todo_lines(exercise.begin)}
    table = {
        name: {
            "prefix": name,
            "description": texts.get(name, ""),
            "body": snippets.editor_body(snippet.text),
        }
        for name, snippet in exercise.snippets.items()
    }
    if table:
        text = json.dumps(table, indent=2, ensure_ascii=False) + "\n"
        write_whole(folder / ".vscode" / f"{exercise.name}.code-snippets", text.encode("utf-8"))
