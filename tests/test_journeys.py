"""A newcomer reads a chapter and types every command and every block of code in it, in a terminal of 80 by 24."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from labkit import tree, workspace
from labkit.chapter import Block
from labkit.lab import Exercise, find_lab

if sys.platform == "win32":
    pytest.skip("needs the terminals of POSIX", allow_module_level=True)

import fcntl
import pty
import struct
import termios

LAB = find_lab(Path(__file__).parent.parent)
PROMPT = "NEWCOMER> "
PATIENCE = 240.0
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][AB0]|[=>])")


class Terminal:
    """A shell in a terminal of 80 columns and 24 lines: what is typed into it, and what it shows since."""

    def __init__(self, folder: Path, home: Path) -> None:
        shell = shutil.which("bash") or "/bin/sh"
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LABKIT_HOME": str(home / "labkit"),
            "PS1": PROMPT,
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "PAGER": "cat",
            "HISTFILE": "/dev/null",
        }
        self.process, self.file = pty.fork()
        if not self.process:
            os.chdir(folder)
            # Who runs the tests in the background has told them to ignore these; a terminal's shell does not.
            for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            os.execve(shell, [shell, *(["--norc", "--noprofile"] if shell.endswith("bash") else [])], environment)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.raw, self.typed_at = "", 0
        self.until(re.escape(PROMPT.strip()))

    @property
    def shown(self) -> str:
        """What was shown since a block was begun, in one line: words may be wrapped anywhere."""
        return _one_line(self.raw)

    @property
    def at_prompt(self) -> bool:
        """Whether the shell waits for a command."""
        return _one_line(self.raw[self.typed_at :]).endswith(PROMPT.strip())

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        self.typed_at = len(self.raw)
        os.write(self.file, keys.encode("utf-8"))

    def until(self, pattern: str, again: str | None = None) -> None:
        """Wait until this is shown; meanwhile type `again`, if that is given, each second."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.shown, re.DOTALL):
            if again is not None and not self._read(min(end, time.monotonic() + 1)):
                self.type(again)
            elif (again is None and not self._read(end)) or time.monotonic() > end:
                pytest.fail(f"Not shown: {pattern}\n\nBut:\n{_ESCAPES.sub('', self.raw)}", pytrace=False)

    def until_prompt(self) -> None:
        """Wait until the program has ended."""
        end = time.monotonic() + PATIENCE
        while not self.at_prompt:
            if not self._read(end):
                pytest.fail(f"No prompt after:\n{_ESCAPES.sub('', self.raw)}", pytrace=False)

    def until_asked(self) -> None:
        """Wait until the program that takes what is typed asks for more: until its prompt stands behind the line."""
        end = time.monotonic() + PATIENCE
        while not re.search(r"[#>]$", _one_line(self.raw[self.typed_at :])):
            if not self._read(end):
                pytest.fail(f"No prompt of the program after:\n{_ESCAPES.sub('', self.raw)}", pytrace=False)

    def forget(self) -> None:
        """Begin a block: what was shown before does not count."""
        if self.at_prompt:
            self.raw, self.typed_at = PROMPT, 0
        else:
            self.raw, self.typed_at = "", 0

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self.file], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            self.raw += os.read(self.file, 65536).decode("utf-8", "replace")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the window, as a person would at the end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGHUP)
        os.close(self.file)
        os.waitpid(self.process, 0)


class Newcomer:
    """Follows a chapter word by word: in the terminals, and with the clicks that the steps ask for."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.terminals: dict[str, Terminal] = {}
        self.current = "1"
        self.asked = ""

    def come_from_the_exercise_before(self, exercise: Exercise) -> None:
        """Stand in the workspace of the exercise before this one, where its chapter has left the terminal."""
        before = LAB.exercises[: LAB.exercises.index(exercise)]
        if before:
            self._type(f"labkit start {before[-1].id}", first=True)
            self._type(f"cd {before[-1].name}", first=True)

    def follow(self, block: Block) -> None:
        """Do what a block of the chapter says, or see whether it shows what there is to see."""
        number = next((word for word in block.info[1:] if word.isdecimal()), None)
        if block.language == "console":
            self.current, self.asked = number or "1", ""
            for n, command in enumerate(block.commands):
                self._type(command, first=n == 0)
        elif block.info == ("text", "output"):
            # The one line that asks for news may come before them: a person asks again.
            self.terminal.until(_pattern(block.code), again=";" if self.asked == ";" else None)
            self._visit()
        elif block.language == "sql":
            self.current = number or self.current
            self.terminal.forget()
            for line in block.code.splitlines():
                self.terminal.type(line)
                self.terminal.until_asked()
            self.asked = block.code.strip()

    @property
    def terminal(self) -> Terminal:
        """The terminal that is typed into; a new window if there is none yet, in the folder of the first."""
        if self.current not in self.terminals:
            here = self.folder if not self.terminals else Path(f"/proc/{self.terminals['1'].process}/cwd").resolve()
            self.terminals[self.current] = Terminal(here, self.home)
        return self.terminals[self.current]

    def _type(self, command: str, first: bool) -> None:
        terminal = self.terminal
        if not terminal.at_prompt:
            self._leave(terminal)
        if first:
            terminal.forget()
        terminal.type(command)
        if command.split()[1:2] not in (["run"], ["db"]) or command.split()[2:3] in (["create"], ["stop"], ["start"]):
            terminal.until_prompt()

    def _leave(self, terminal: Terminal) -> None:
        """End the program in the terminal, by the key that it names."""
        if "=>" in terminal.shown:
            terminal.type("\\q")
        else:
            deadline = time.monotonic() + 1
            while not terminal.at_prompt and time.monotonic() < deadline and terminal._read(deadline):
                pass
            if terminal.at_prompt:
                return
            terminal.press("\x03")
        terminal.until_prompt()

    def _visit(self) -> None:
        """Log in at each address that is shown, and answer a question there."""
        if self.terminal.at_prompt:
            return
        for address in dict.fromkeys(re.findall(r"http://127\.0\.0\.1:\d+", self.terminal.shown)):
            self._answer(address)

    def _answer(self, address: str) -> None:
        with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client:
            who = {"name": "ada", "password": "lovelace 1815", "confirm": "lovelace 1815"}
            client.post("/account/register", data=who)
            client.post("/account/login", data=who)
            question = client.get("/api/trivia").raise_for_status().json()
            answer = {"questionId": question["id"], "optionId": question["options"][0]["id"]}
            client.post("/api/trivia", json=answer).raise_for_status()


def _one_line(raw: str) -> str:
    return " ".join(_ESCAPES.sub("", raw).replace("\r", " ").split())


_ELSEWHERE = re.compile(r"(…|(?<=127\.0\.0\.1:)\d+|(?<=, in )\d+\.\d+(?= s\.)|(?<=PID )\d+)")
"""What differs from one machine, or run, to the next: ports, seconds and processes, and what a chapter leaves out."""


def _pattern(expected: str) -> str:
    """A pattern for what a block shows, word by word; `…` is anything."""
    words = " ".join(expected.split()).removesuffix(" …")
    parts = _ELSEWHERE.split(words)
    return "".join(
        re.escape(part) if n % 2 == 0 else ".*?" if part == "…" else r"\d+(?:\.\d+)?" for n, part in enumerate(parts)
    )


OWN_NAMES = {
    "notify-updates-method": {"hub": "everybody", "statistics": "figures"},
    "signalr-client-code": {"connection": "line"},
}
"""Names that somebody who types chooses anew."""


def typed(folder: Path, block: Block) -> None:
    """Type a block's code over its TODO line: with more blank lines, and with names of one's own."""
    path, todo, code = _code_of(folder, block)
    for old, new in OWN_NAMES.get(todo.split("TODO ")[1].split(":")[0], {}).items():
        code = [re.sub(rf"\b{old}\b", new, line) for line in code]
    spaced = [each for line in code if line.strip() for each in ("", line)]
    path.write_text(
        path.read_text(encoding="utf-8").replace(f"{todo}\n", "\n".join([*spaced, "", ""])), encoding="utf-8"
    )


def completed(folder: Path, block: Block) -> None:
    """Have an editor's snippet write a block's code below its TODO line, which stays."""
    path, todo, code = _code_of(folder, block)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"{todo}\n", "\n".join([todo, *code, ""])), encoding="utf-8")


def _code_of(folder: Path, block: Block) -> tuple[Path, str, list[str]]:
    """The file that a block is about, its TODO line there, and the lines that take its place."""
    path = folder / block.info[1]
    (todo,) = (line[1:] for line in block.code.splitlines() if line.startswith("-"))
    assert f"{todo}\n" in path.read_text(encoding="utf-8")
    return path, todo, [line[1:] for line in block.code.splitlines() if line.startswith("+")]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """Somebody with an empty home, in an empty folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    person = Newcomer(tmp_path / "work", tmp_path / "home")
    yield person
    for terminal in person.terminals.values():
        terminal.close()
    subprocess.run(
        [sys.executable, "-m", "labkit", "db", "stop"],
        env=os.environ | {"LABKIT_HOME": str(tmp_path / "home" / "labkit")},
        check=False,
        capture_output=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_who_types_what_the_chapter_says_sees_what_it_shows(newcomer: Newcomer, exercise: Exercise) -> None:
    newcomer.come_from_the_exercise_before(exercise)
    for block in exercise.chapter.blocks:
        newcomer.follow(block)
    assert workspace.compare(newcomer.folder / exercise.name, exercise.end) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", [typed, completed])
@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_who_writes_the_code_in_an_editor_is_done_as_well(
    newcomer: Newcomer, exercise: Exercise, way: Callable[[Path, Block], None]
) -> None:
    terminal = newcomer.terminal
    folder = newcomer.folder / exercise.name

    def said(command: str) -> str:
        terminal.forget()
        terminal.type(command)
        terminal.until_prompt()
        return terminal.shown

    said(f"labkit start {exercise.id}")
    said(f"cd {exercise.name}")
    steps = [step for task in exercise.tasks for step in task.steps if step.snippet]
    for step in steps:
        for block in step.blocks:
            if block.language == "diff":
                way(folder, block)
        following = said("labkit list")
        assert f"labkit snippet insert {step.snippet}" not in following
    written = {path: content for path in tree.app_files(folder) if (content := tree.text((folder / path).read_bytes()))}
    answer = said("labkit snippet insert --all")
    assert [f"{step.snippet} is " for step in steps if f"{step.snippet} is " not in answer] == []
    assert "Inserted" not in answer
    for path, text in written.items():
        rest = [line for line in text.splitlines() if "TODO " not in line]
        assert (folder / path).read_text(encoding="utf-8").splitlines() == rest
    if exercise.database:
        said(f"labkit db create {exercise.database.solution[0]}")
    assert re.search(r"(\d+) of \1 checks passed", said("labkit verify"))
