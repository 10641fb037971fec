"""A table: what is wrong with the workspace or the machine, what is typed, the exit code, and the words.

And whatever else is in the files that labkit reads: never a traceback, never a file outside that changes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Error

from labkit import tree
from labkit.verify import judging
from labkit.verify.report import Verdict
from labkit.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="made of links, pipes and modes")

Labkit = Callable[..., tuple[int, str, str]]


def described(**changes: object) -> Callable[[Path], object]:
    """Write something else into workspace.json."""

    def deed(folder: Path) -> object:
        path = folder / ".labkit" / "workspace.json"
        return path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return deed


def described_as(text: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / ".labkit" / "workspace.json").write_bytes(text)


def replaced(path: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def deed(folder: Path) -> object:
        (folder / path).unlink()
        return make(folder / path)

    return deed


def linked_to_outside(folder: Path) -> None:
    (folder / "app.py").rename(folder.parent / "real.py")
    (folder / "app.py").symlink_to("../real.py")


def record_that_leads_out(folder: Path) -> None:
    change = folder / ".labkit" / "journal" / "0001" / "change.json"
    change.parent.mkdir(parents=True)
    change.write_text(json.dumps({"schema": 1, "command": "x", "files": ["../x"]}))


FAULTS: dict[str, tuple[Callable[[Path], object], str, int, str]] = {
    "workspace.json is empty": (described_as(b""), "list", 2, "workspace.json is damaged: "),
    "workspace.json is no text": (described_as(b"\xff\0"), "snippet insert pour", 2, "workspace.json is damaged: "),
    "workspace.json is a list": (described_as(b"[]"), "undo", 2, "workspace.json is damaged: "),
    "its form is newer": (described(schema=99), "list", 2, " was made by a newer labkit ("),
    "its form is a text": (described(schema="x"), "undo", 2, " was made by a labkit that is too old for this one ("),
    "its exercise is a number": (described(exercise=5), "undo", 2, "its “exercise” is missing, or is no text"),
    "its lab is a number": (described(lab=5), "list", 0, ""),
    "its secret is gone": (described(secret=None), "run --no-open", 2, "its “secret” is missing, or is no text"),
    "its secret has a NUL": (
        described(secret="a\0b"),
        "run --no-open",
        2,
        "its “secret” has a character that no program can be given",
    ),
    "a file is a pipe": (replaced("app.py", os.mkfifo), "reset app.py --yes", 2, "app.py is a folder, a pipe or a "),
    "a file is a folder": (replaced("app.py", os.mkdir), "snippet insert pour", 2, "app.py"),
    "a file is a link to itself": (
        replaced("app.py", lambda path: path.symlink_to("app.py")),
        "snippet insert pour",
        2,
        "app.py",
    ),
    "a file is a link": (
        linked_to_outside,
        "snippet insert pour",
        2,
        "app.py is a link: labkit neither follows nor replaces it",
    ),
    "a file is in UTF-16": (
        lambda folder: (folder / "app.py").write_bytes("é".encode("utf-16")),
        "snippet insert pour",
        2,
        "app.py is not saved as UTF-8",
    ),
    "a path that leads out": (
        lambda folder: None,
        "reset ../../etc/passwd --yes",
        2,
        "Unknown file “../../etc/passwd”",
    ),
    "the journal is a link": (
        lambda folder: (folder / ".labkit" / "journal").symlink_to(folder.parent / "nowhere"),
        "snippet insert pour",
        2,
        ".labkit/journal is a link: labkit neither follows nor replaces it",
    ),
    "an unknown command": (lambda folder: None, "lits", 2, "No such command 'lits'"),
    "an unknown task": (lambda folder: None, "verify --task 99", 2, "Unknown task “99”"),
    "no display": (lambda folder: None, "verify --headed", 3, "There is no display here to show a browser on"),
    "a browser that is not there": (lambda folder: None, "verify", 3, "LABKIT_BROWSER names /nowhere"),
    "a server that does not answer": (lambda folder: None, "db status", 3, "does not answer: "),
    "an unknown option": (lambda folder: None, "list --colour", 2, "No such option: --colour"),
    "a number that is no port": (lambda folder: None, "run --no-open --port 70000", 2, "70000"),
    "a value that is none": (lambda folder: None, "verify --format yaml", 2, "yaml"),
    "lab-workspace.toml is no TOML": (
        lambda folder: (folder / "lab-workspace.toml").write_text("exercise ="),
        "status",
        2,
        "lab-workspace.toml is damaged: Invalid value",
    ),
    "the evidence is a link": (
        lambda folder: (folder / ".labkit" / "evidence").symlink_to(folder.parent / "nowhere"),
        "verify",
        2,
        ".labkit/evidence is a link: labkit neither follows nor replaces it",
    ),
    "a record that leads out": (
        record_that_leads_out,
        "undo",
        2,
        "damaged",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_exit_code_and_the_words_of(
    fault: str, labkit: Labkit, mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, command, code, words = FAULTS[fault]
    monkeypatch.setenv("LABKIT_BROWSER", "/nowhere")
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", "postgresql://a:b@127.0.0.1:1")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    make(mine.folder)
    found, _, said = labkit(*command.split(" "))
    assert (found, words in said, "Traceback" in said) == (code, True, False), said


def test_the_page_has_a_line_for_each() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sandbox.md").read_text("utf-8")
    lines = [line for line in page.splitlines() if "`labkit " in line and line.startswith("|")]
    assert lines == [
        f"| {fault} | `labkit {command}` | {code} | {words.strip(' :(') or 'none'} |"
        for fault, (_, command, code, words) in FAULTS.items()
    ]


def test_each_fault_that_was_reported_names_tests_that_there_are() -> None:
    here = Path(__file__).parent
    rows = [line for line in (here / "faults.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    faults = [row for row in rows if row.split("|")[-2].strip() != "test"]
    known = {
        name for file in here.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }
    without = [row for row in faults if not re.findall(r"`test_\w+`", row)]
    named = {name for row in faults for name in re.findall(r"`(test_\w+)`", row)}
    assert (without, named - known) == ([], set())


COMMANDS = ("list", "undo", "snippet insert pour", "diff --stat", "next", "status")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.just("../../x")
    | st.just("/tmp"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def damaged(text: bytes) -> st.SearchStrategy[bytes]:
    """A file that has been damaged: bytes changed, entries changed, or anything at all."""
    found = [st.binary(max_size=40), JSON.map(lambda value: json.dumps(value).encode())]
    whole = text if isinstance(text, bytes) else b""
    try:
        table = json.loads(whole)
        found.append(
            st.dictionaries(st.sampled_from([*table]), JSON, max_size=3).map(
                lambda changes: json.dumps({**table, **changes}).encode()
            )
        )
    except ValueError:
        found.append(
            st.tuples(st.integers(0, len(whole)), st.integers(0, 30), st.binary(max_size=5)).map(
                lambda cut: whole[: cut[0]] + cut[2] + whole[cut[0] + cut[1] :]
            )
        )
    return st.one_of(*found)


@pytest.mark.parametrize(
    "path",
    [
        ".labkit/workspace.json",
        pytest.param("lab-workspace.toml", marks=pytest.mark.slow),
        ".labkit/journal/0001/change.json",
        pytest.param(".labkit/status", marks=pytest.mark.slow),
        "../tea/exercises/a1-brew/exercise.toml",
        pytest.param("../tea/lab.toml", marks=pytest.mark.slow),
    ],
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_file_has_in_it_labkit_says_so_and_touches_nothing_outside(
    labkit: Labkit, mine: Workspace, tea_folder: Path, path: str, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=mine.folder.parent) as temporary:
        base = Path(temporary)
        shutil.copytree(mine.folder, base / "mine")
        shutil.copytree(tea_folder, base / "tea")
        outside = base / "outside"
        outside.write_text("kept")
        before = os.getcwd()  # noqa: PTH109  (a text, as chdir takes it back)
        os.chdir(base / "mine")
        os.environ["LABKIT_LAB"] = str(base / "tea")
        try:
            assert labkit("snippet", "insert", "cup-label")[0] == 0
            target = base / "mine" / path
            target.write_bytes(data.draw(damaged(target.read_bytes() if target.is_file() else b"{}")))
            code, out, said = labkit(*data.draw(st.sampled_from(COMMANDS)).split())
            assert (code in (0, 1, 2, 3), "Traceback" in said + out) == (True, False), said
            assert outside.read_text() == "kept"
            assert sorted(each.name for each in base.iterdir()) == ["mine", "outside", "tea"]
        finally:
            os.chdir(before)


@pytest.mark.parametrize(
    "name", ['dq"y', "-dash2", "a $HOME", "O'Neil [Bob]", "C# & 100% {y}", "`date`", "~", "a!b", "b\\s"]
)
def test_a_folder_in_an_advice_can_be_pasted_into_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    said = subprocess.run(["bash", "-c", f"cd {tree.argument(Path(name))} && pwd"], capture_output=True, text=True)
    assert said.stdout == f"{tmp_path / name}\n"


def test_force_color_makes_no_terminal_of_a_log(mine: Workspace, tea_folder: Path) -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "LABKIT_LAB": str(tea_folder), "LABKIT_BROWSER": "/nowhere"}
    result = subprocess.run(
        [sys.executable, "-m", "labkit", "verify"], cwd=mine.folder, env=environment, capture_output=True, text=True
    )
    assert (result.returncode, len(result.stderr.splitlines())) == (3, 2)
    assert not {"\x1b[?25l", "\x1b[2K", "\x1b[1A", "\r"} & set(result.stderr)
    assert "\x1b[1;31m" in result.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root changes owners")
def test_what_sudo_changes_still_belongs_to_whom_it_did(labkit: Labkit, mine: Workspace) -> None:
    for path in (mine.folder, *mine.folder.rglob("*")):
        os.chown(path, 12345, 12345)
    assert labkit("snippet", "insert", "pour")[0] == 0
    assert labkit("undo")[0] == 0
    owners = {path.stat().st_uid for path in mine.folder.rglob("*") if path.is_file() and ".labkit" not in path.parts}
    assert owners == {12345}


LAUNCH = """BrowserType.launch: Target page, context or browser has been closed
Browser logs:

<launching> /bin/false --disable-field-trial-config --no-sandbox --user-data-dir=/tmp/x --remote-debugging-pipe
<launched> pid=77
[pid=77] <process did exit: exitCode=1, signal=null>
Call log:
  - <launching> /bin/false --disable-field-trial-config
  - [pid=77] <gracefully close start>
"""


@pytest.mark.parametrize(
    ("message", "verdict", "words"),
    [
        (
            "Page.goto: net::ERR_BLOCKED_BY_ADMINISTRATOR at http://127.0.0.1:1/",
            Verdict.ENVIRONMENT,
            "This machine keeps its browser from http://127.0.0.1:1/: blocked by administrator.",
        ),
        ("Page.goto: net::ERR_CONNECTION_REFUSED at http://127.0.0.1:1/", Verdict.NOT_DONE, None),
        (
            LAUNCH,
            Verdict.ENVIRONMENT,
            "The browser cannot be launched: Target page, context or browser has been closed "
            "<process did exit: exitCode=1, signal=null>",
        ),
        ("Page.click: Target page, context or browser has been closed", Verdict.ENVIRONMENT, None),
    ],
    ids=["policy", "refused", "launch", "ended"],
)
def test_what_the_machine_does_to_the_browser_is_not_the_trainees_fault(
    message: str, verdict: Verdict, words: str | None
) -> None:
    found = judging.verdict(Error(message))
    assert found.verdict is verdict
    assert words is None or found.cause == words


def test_a_driver_that_ends_or_does_not_run_is_the_machines_fault() -> None:
    found = judging.verdict(Exception("Connection closed while reading from the driver"))
    assert (found.verdict, found.next) == (Verdict.ENVIRONMENT, "labkit doctor")
    for program in ("/bin/false", "/nowhere"):
        result = subprocess.run(
            [sys.executable, "-c", "from labkit.verify import kept_browser; kept_browser.start()"],
            env={**os.environ, "PLAYWRIGHT_NODEJS_PATH": program},
            capture_output=True,
            text=True,
        )
        assert "labkit.errors.MachineError: Playwright's driver does not run: " in result.stderr


HIDDEN = """Locator expected to be visible
Actual value: hidden
Call log:
  - Expect "to_be_visible" with timeout 300ms
  - waiting for get_by_text("bread")
    5 times locator resolved to <p hidden="">bread</p>
"""


@pytest.mark.parametrize(
    ("message", "expected", "seen"),
    [
        (HIDDEN, "the text “bread” to be visible", "hidden"),
        ("assert 'text/event-stream' in 'application/json'", "'text/event-stream' in it", "'application/json'"),
        ("assert 2 == 3", "3", "2"),
    ],
    ids=["of Playwright", "in", "equal"],
)
def test_a_plain_assertion_of_a_check_is_told_in_words(message: str, expected: str, seen: str) -> None:
    found = judging.verdict(AssertionError(message))
    assert (found.verdict, found.expected, found.seen) == (Verdict.NOT_DONE, expected, seen)
