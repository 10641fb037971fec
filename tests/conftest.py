"""What several test modules share: a lab that has nothing in common with the one in this repository."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labkit import browser, workspace
from labkit.errors import LabError
from labkit.lab import Exercise, Lab, find_lab
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from playwright.async_api import Browser

Labkit = Callable[..., tuple[int, str, str]]

LAB = {
    "lab.toml": 'title = "Tea"\nsnippet-prefix = "TeaParty"\nexercises = ["a1-brew"]\n',
    "exercises/a1-brew/README.md": """\
# Brew a pot of tea

*About 5 minutes*

## Task 1: Boil

1. Look at the pot

   ```console
   $ labkit run a1
   ```

## Task 2: Pour it

1. Pour

   ```console
   $ labkit snippet insert pour
   ```

   ```diff app.py
    def tea():
        kettle = 1
   -    # TODO pour: pour it into the cup
   +    cup = "green"
   +
   +    print(cup)
        return kettle
   ```

2. Label the cup

   ```console
   $ labkit snippet insert cup-label
   ```

   ```diff pages/cup.html
    <p>{{ cup }}</p>
   -<!-- TODO cup-label: say whose cup it is -->
   +<h1>Cup</h1>
   ```
""",
    "exercises/a1-brew/exercise.toml": """\
[app]
command = ["{python}", "app.py", "{port}"]
ready = "/"
""",
    "exercises/a1-brew/begin/app.py": (
        "def tea():\n    kettle = 1\n    # TODO pour: pour it into the cup\n    return kettle\n"
    ),
    "exercises/a1-brew/begin/pages/cup.html": "<p>{{ cup }}</p>\n<!-- TODO cup-label: say whose cup it is -->\n",
    "exercises/a1-brew/end/app.py": (
        'def tea():\n    kettle = 1\n    cup = "green"\n\n    print(cup)\n    return kettle\n'
    ),
    "exercises/a1-brew/end/pages/cup.html": "<p>{{ cup }}</p>\n<h1>Cup</h1>\n",
    "exercises/a1-brew/checks/test_brew.py": (
        "import pytest\n\n\n@pytest.mark.task(1)\ndef test_pot() -> None:\n"
        '    """The pot is there."""\n\n\n@pytest.mark.task(2)\ndef test_cup() -> None:\n    """The cup is full."""\n'
    ),
    "snippets/a1-brew/pour.py": 'cup = "${1:green}"\n\nprint(cup)\n',
    "snippets/a1-brew/cup-label.html": "<h1>Cup</h1>\n",
}


@pytest.fixture
def write_files() -> Callable[[Path, dict[str, str]], Path]:
    """Write files given as `{path: text}` below a folder, line endings as given."""

    def write(folder: Path, files: dict[str, str]) -> Path:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8"))
        return folder

    return write


@pytest.fixture
def signals_as_in_a_terminal() -> Iterator[None]:
    """Have this process hear Ctrl-C, and what a test starts hear hang-ups too, whoever runs the tests (nohup, `&`)."""
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    if sys.platform != "win32":
        # A handler, so that this process outlives its terminal as whoever started it wished.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def tea_folder(tmp_path: Path, write_files: Callable[[Path, dict[str, str]], Path]) -> Path:
    """The folder of a small lab of its own, free to be changed."""
    return write_files(tmp_path / "tea", LAB).resolve()


@pytest.fixture
def tea(tea_folder: Path) -> Lab:
    """The small lab, read."""
    return find_lab(tea_folder)


@pytest.fixture
def brew(tea: Lab) -> Exercise:
    """Its only exercise."""
    return tea.exercises[0]


@pytest.fixture
def mine(tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace, and the shell stands in it."""
    made = workspace.create(tea, brew, tmp_path / "mine")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def labkit(tea_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Labkit:
    """Run one command line in this process; tells the exit code, stdout and stderr."""
    from labkit.cli import run

    monkeypatch.setenv("LABKIT_LAB", str(tea_folder))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        return code, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True)
def own_memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test know of another's workspaces, nor of how this suite itself was called."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)


@pytest.fixture
def strange_shell(tmp_path: Path) -> dict[str, str]:
    """The variables of a shell that sets what it likes: proxies that lead nowhere, warnings that are errors, another
    PostgreSQL, and an oddly named folder for what is temporary, which is there and empty.
    """
    temporary = tmp_path / "tmp ü %20#"
    temporary.mkdir()
    return {
        **os.environ,
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
        **{"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1", "WEB_CONCURRENCY": "4", "CI": "true", "TERM": "dumb"},
        **{"PGHOST": "192.0.2.1", "PGPORT": "1", "PGSSLMODE": "require", "PGOPTIONS": "--no", "PGSERVICE": "none"},
        "TMPDIR": str(temporary),
    }


CALLS = ("mkdir", "open", "replace", "rename", "unlink", "fsync", "rmdir")


@pytest.fixture(scope="session")
def killed() -> Callable[[Callable[[], object], int], bool]:
    """Does something in a process that is killed (kill -9) at one of its calls of the file system."""

    def killed(deed: Callable[[], object], after: int) -> bool:
        """Do it in a process that is killed at its call of that number; False if it ended before."""
        child = os.fork()
        if child == 0:
            left = after

            def counting(real: Callable[..., Any]) -> Callable[..., Any]:
                def call(*arguments: Any, **options: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*arguments, **options)

                return call

            for name in CALLS:
                setattr(os, name, counting(getattr(os, name)))
            try:
                deed()
            except LabError:
                pass
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)

    return killed


@pytest.fixture
async def chromium() -> AsyncIterator["Browser"]:
    """A browser of its own."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(**browser.find().launch_options(headless=True))
        yield launched
        await launched.close()
