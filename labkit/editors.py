"""The person's own editor at a file and a line: `$VISUAL`, else Visual Studio Code or PyCharm where one is there."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import MachineError

VARIABLE = "VISUAL"
"""The environment variable that names the editor."""

_GOTO = ("code", "code-insiders", "codium", "cursor", "windsurf")
_LINE = ("pycharm", "pycharm64", "charm", "idea", "idea64")
_COLON = ("subl", "zed")
_IN_TERMINAL = ("vi", "vim", "nvim", "nano", "emacs", "micro", "helix", "hx")

_USUAL = ("code", "codium", "cursor", "pycharm", "pycharm64", "charm")


@dataclass(frozen=True)
class Editor:
    """An editor: `command` is the program with its own options."""

    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's name, without folder and ending."""
        return Path(self.command[0]).stem

    @property
    def in_terminal(self) -> bool:
        """Whether it needs the terminal that it is started from."""
        return self.name in _IN_TERMINAL

    def arguments(self, path: Path, line: int | None = None) -> list[str]:
        """The command line that opens the file, at the line if one is given."""
        if line is None:
            return [*self.command, str(path)]
        if self.name in _GOTO:
            return [*self.command, "--goto", f"{path}:{line}"]
        if self.name in _LINE:
            return [*self.command, "--line", str(line), str(path)]
        if self.name in _COLON:
            return [*self.command, f"{path}:{line}"]
        return [*self.command, f"+{line}", str(path)] if self.in_terminal else [*self.command, str(path)]


def find(windows_only: bool = False) -> Editor | None:
    """The editor of this person; with `windows_only`, none that needs a terminal."""
    for words in (shlex.split(os.environ.get(VARIABLE, ""), posix=os.name != "nt"), *([name] for name in _USUAL)):
        program = shutil.which(words[0].strip('"')) if words else None
        if program:
            editor = Editor((program, *words[1:]))
            if not (windows_only and editor.in_terminal):
                return editor
    return None


def show(path: Path, line: int | None = None) -> Editor:
    """Open a file in an editor that has a window of its own, and do not wait for it.

    Raises MachineError if there is none, or if it does not start.
    """
    editor = find(windows_only=True)
    if editor is None:
        raise MachineError(
            "No editor was found: neither Visual Studio Code nor PyCharm is on the PATH.",
            f"Name yours in the environment variable {VARIABLE}, or open {path} yourself.",
        )
    _start(editor.arguments(path, line))
    return editor


def compare(left: Path, right: Path) -> Editor:
    """Show two files side by side, and do not wait for it.

    Raises MachineError if there is no editor that can, or if it does not start.
    """
    editor = find(windows_only=True)
    if editor is None or editor.name not in (*_GOTO, *_LINE):
        raise MachineError(
            "No editor was found that shows files side by side: Visual Studio Code and PyCharm do.",
            f"Name yours in the environment variable {VARIABLE}, or leave --open out.",
        )
    option = "--diff" if editor.name in _GOTO else "diff"
    _start([*editor.command, option, str(left), str(right)])
    return editor


def _start(command: Sequence[str]) -> None:
    try:
        subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name != "nt",
        )
    except OSError as error:
        raise MachineError(
            f"{command[0]} did not start: {error.strerror or error}.", f"Name another editor in {VARIABLE}."
        ) from error
