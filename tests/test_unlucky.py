"""Machines and workspaces that are merely unlucky: an honest exit code, the cause by its name, and the next step."""

import json
import os
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labkit import __main__, changes, instances, known, snippets, tree, workspace
from labkit.diagnosis import AppDidNotStart
from labkit.grading import staging
from labkit.lab import App, Exercise, find_lab
from labkit.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="made of links, folders that go, and limits")

Labkit = Callable[..., tuple[int, str, str]]


def program(cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run labkit as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "labkit", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_folder_that_was_removed_is_named(labkit: Labkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in ("list", "doctor"):
        assert labkit(command) == (3, "", "The folder that this terminal is in has been removed.\nnext: cd ~\n")


DEEP = "/".join(["a" * 59] * 100)
"""A path of 6,000 characters, whose names are short enough by themselves."""


@pytest.mark.parametrize("path", [DEEP, "a" * 300], ids=["path", "name"])
@pytest.mark.parametrize("command", ["start a1", "verify --report", "new lab lab", "adopt --exercise a1"])
def test_a_path_that_the_system_does_not_take_is_to_be_shorter(
    labkit: Labkit, mine: Workspace, monkeypatch: pytest.MonkeyPatch, command: str, path: str
) -> None:
    if not command.startswith("verify"):
        monkeypatch.chdir(mine.folder.parent)
    before = sorted(mine.folder.parent.rglob("*"))
    code, _, err = labkit(*command.split(), path)
    assert (code, "File name too long" in err, err.splitlines()[-1]) == (
        3,
        True,
        "next: This system takes no path as long as that: choose a shorter name, or a folder further up, then repeat "
        "the command.",
    )
    assert len(err) < 1500
    assert sorted(mine.folder.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["rich", "typing_extensions", "random", "typer"])
def test_pythonpath_and_the_current_folder_shadow_nothing_of_labkits(tmp_path: Path, name: str) -> None:
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text("raise ImportError('shadow')")
    result = program(tmp_path / "here", "snippet", "--help", PYTHONPATH=str(tmp_path / "there"))
    assert (result.returncode, "shadow" in result.stderr) == (0, False)


@pytest.mark.parametrize("beside", ["app.py~", "app.py.orig", "app.py.bak", ".app.py.swp", "app.py.rej"])
def test_what_editors_leave_beside_a_file_is_none_of_the_app(labkit: Labkit, mine: Workspace, beside: str) -> None:
    text = (mine.folder / "app.py").read_bytes()
    (mine.folder / beside).write_bytes(text)
    assert labkit("snippet", "insert", "pour")[0] == 0
    assert (mine.folder / beside).read_bytes() == text
    assert (mine.folder / "app.py").read_bytes() != text
    assert labkit("snippet", "insert", "cup-label")[0] == 0
    assert "snippet insert" not in labkit("list")[1]


def test_a_film_in_the_workspace_is_not_read(mine: Workspace, brew: Exercise) -> None:
    with (mine.folder / "video.mp4").open("wb") as film:
        film.truncate(3_000_000_000)
    assert "video.mp4" not in list(tree.app_files(mine.folder))
    assert [each.path for each in workspace.compare(mine.folder, brew.begin)] == []


def test_a_file_of_the_app_that_has_become_a_film_is_named_by_verify(
    labkit: Labkit, mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(tree.app_files(mine.folder))
    os.truncate(mine.folder / path, 2 * tree.HUGE)
    monkeypatch.chdir(mine.folder)
    assert labkit("verify")[::2] == (
        2,
        f"{path} has 400 MB: nobody writes such a file.\nnext: labkit reset {path}\n",
    )


def test_of_thousands_of_files_those_of_a_folder_full_of_them_are_not_looked_through(
    mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree.code_files(mine.folder)
    monkeypatch.setattr(tree, "MOST_FILES", len(before))
    (mine.folder / "aaa").mkdir()
    for number in range(20):
        (mine.folder / "aaa" / f"{number}.csv").touch()
    assert tree.code_files(mine.folder) == before


def test_a_large_file_is_compared_but_not_held_in_memory(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * tree.LARGE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert changes.content(tmp_path / "a") == changes.content(tmp_path / "b")
    assert len(changes.content(tmp_path / "a") or b"") < 100
    (tmp_path / "b").write_bytes(b"x" * tree.LARGE + b"y")
    assert changes.content(tmp_path / "a") != changes.content(tmp_path / "b")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000


def test_a_file_in_another_encoding_is_named_by_insert(labkit: Labkit, mine: Workspace) -> None:
    path = mine.folder / "app.py"
    content = path.read_text().encode("utf-16")
    path.write_bytes(content)
    code, _, err = labkit("snippet", "insert", "pour")
    assert (code, err.splitlines()[0]) == (
        2,
        "app.py is not saved as UTF-8: labkit cannot read it, and neither can Python. Nothing was changed.",
    )
    assert path.read_bytes() == content
    (exercise,) = json.loads(labkit("list", "--format", "json")[1])["exercises"]
    assert exercise["tasks"][1]["snippets"] == {"done": 0, "total": 2}  # none of it is taken for code of one's own


def test_what_is_in_the_way_of_labkits_own_is_named_with_what_to_do(labkit: Labkit, mine: Workspace) -> None:
    lock, own = mine.folder / ".labkit" / "lock", mine.folder / ".labkit"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    advice = "next: Something else lies there: move it away, then repeat the command.\n"
    assert labkit("snippet", "insert", "pour") == (3, "", f"Is a directory: {lock}\n{advice}")
    own.rename(mine.folder.parent / "kept")
    own.touch()
    said = f".labkit is a file where a folder of labkit's belongs.\nnext: Remove it, then repeat: {own}\n"
    for command in (("next",), ("snippet", "insert", "pour")):
        assert labkit(*command) == (2, "", said)


def test_a_folder_where_a_file_of_the_app_belongs_is_named_by_insert(labkit: Labkit, mine: Workspace) -> None:
    (mine.folder / "app.py").unlink()
    (mine.folder / "app.py").mkdir()
    code, _, err = labkit("snippet", "insert", "pour")
    assert (code, err.splitlines()[0]) == (
        2,
        "app.py is a folder, a pipe or a device where a file belongs. Nothing was changed.",
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_a_workspace_whose_name_is_no_text_is_like_any_other(
    labkit: Labkit, mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = mine.folder.rename(mine.folder.with_name(os.fsdecode(b"tea \xff")))
    monkeypatch.chdir(odd)
    commands = ("next", "snippet insert pour", "status", "diff --stat", "undo", "pack", "list --format json")
    assert [labkit(*each.split())[0] for each in commands] == [0] * len(commands)
    assert [each.folder for each in known.workspaces(find_lab().folder)] == [odd]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has no device that is always full")
def test_what_cannot_be_written_is_said_as_such(mine: Workspace, tea_folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "labkit", "list", "--lab", str(tea_folder)],
            cwd=mine.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    said = "Cannot write the output: No space left on device.\nnext: Free some disk space, or send it elsewhere.\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_a_terminal_of_no_columns_is_as_wide_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setenv("LINES", "24")
    __main__._forget_no_size()
    assert (os.environ.get("COLUMNS"), os.environ["LINES"]) == (None, "24")


@pytest.mark.parametrize(
    "code",
    [
        "import shutil, os; shutil.rmtree(os.getcwd()); raise SystemExit(1)",
        "print('Traceback (most recent call last):\\n  File \"a\\0b\", line 1, in x\\nValueError: y'); exit(1)",
        "import os; os.mkfifo('pipe.py'); os.symlink('loop', 'loop'); raise SystemExit(1)",
    ],
    ids=["removes its folder", "prints a NUL in a path", "makes pipes and loops"],
)
def test_a_start_that_cannot_be_explained_still_ends(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    app = App(command=("{python}", "-c", code), environment={}, ready="/", home="/", instances=1)
    with (
        pytest.raises(AppDidNotStart),
        instances.running(app, folder, data=tmp_path / "data", secret="s", id="i", count=1),
    ):
        pass


COMMANDS = (
    *("start a1 ../another", "list", "status", "snippet insert pour", "diff --stat", "pack", "undo", "next"),
    *("new lab ../lab", "db status"),
)
SEVERAL = "import sys; from labkit.cli import run; print('codes', [run(each.split()) for each in sys.argv[1:]])"


def strict() -> None:
    """Have few files open, and make none that others can read."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))


@pytest.mark.slow
def test_whatever_the_shell_sets_and_lacks_the_commands_work(
    mine: Workspace, tea_folder: Path, tmp_path: Path, strange_shell: dict[str, str]
) -> None:
    (tmp_path / "without git").mkdir()
    places = {"PATH": tmp_path / "without git", "LABKIT_LAB": tea_folder, "LABKIT_HOME": tmp_path / "home"}
    result = subprocess.run(
        [sys.executable, "-P", "-c", SEVERAL, *COMMANDS],
        env={**strange_shell, **{name: str(place) for name, place in places.items()}},
        capture_output=True,
        text=True,
        preexec_fn=strict,
    )
    assert (result.stdout.splitlines()[-1:], result.stderr) == (
        [f"codes {[0] * len(COMMANDS)}"],
        "Making your workspace …\n",
    )
    assert list(Path(strange_shell["TMPDIR"]).iterdir()) == []


def test_files_that_go_as_soon_as_they_are_seen_disturb_no_command(
    labkit: Labkit, mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that a cloud drive synchronizes, or an editor saves in."""
    real, passing = os.scandir, ("~$app.py", ".tmp.py", "passing.py", "new/cup.py")

    @contextmanager
    def scandir(path: str | int = ".") -> Iterator[Iterator[os.DirEntry[str]]]:
        is_workspace = not isinstance(path, int) and Path(path) == mine.folder
        if is_workspace:
            (mine.folder / "new").mkdir()
            for name in passing:
                (mine.folder / name).write_text("passing = 1\n", "utf-8")
        with real(path) as found:
            entries = list(found)
        if is_workspace:
            for name in passing:
                (mine.folder / name).unlink()
            (mine.folder / "new").rmdir()
        yield iter(entries)

    monkeypatch.setattr(os, "scandir", scandir)
    commands = ("list", "diff --stat", "status", "snippet insert pour", "pack", "undo", "next", "reset app.py --yes")
    said = {command: labkit(*command.split()) for command in commands}
    assert {
        command: (code, "No such file" in out + err) for command, (code, out, err) in said.items()
    } == dict.fromkeys(commands, (0, False))
    assert "TODO pour" in (mine.folder / "app.py").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")
def test_an_account_that_owns_neither_labkit_nor_the_lab_works_with_both(tea_folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 12345, 12345)
    for folder in tmp_path.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o005)
    tmp_path.chmod(0o755)
    as_user: dict[str, Any] = {"user": 12345, "group": 12345, "extra_groups": [], "cwd": own, "capture_output": True}
    # Where labkit's own Python is root's alone, the machine's may be of the same version.
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    path = os.pathsep.join([str(Path(__file__).parents[1]), sysconfig.get_path("purelib")])
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LABKIT_", "XDG_"))}
    as_user["env"] = {**others, "PYTHONPATH": path, "LABKIT_LAB": str(tea_folder), "HOME": str(own)}
    try:
        subprocess.run([python, "-c", "import labkit.cli"], check=True, **as_user)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no Python that another account may use")
    commands = ("start a1", "list", "snippet insert pour", "diff --stat", "undo", "new lab mine")
    result = subprocess.run([python, "-c", SEVERAL, *commands], text=True, **as_user)
    assert (result.stdout.splitlines()[-1:], result.stderr) == (
        [f"codes {[0] * len(commands)}"],
        "Making your workspace …\n",
    )


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["CRLF", "CRLF with a mark"])
def test_a_file_that_windows_has_saved_is_inserted_into_and_stays_as_it_is(
    labkit: Labkit, mine: Workspace, brew: Exercise, mark: str
) -> None:
    def windows(text: str) -> bytes:
        return f"{mark}{text}".replace("\n", "\r\n").encode()

    for path in ("app.py", "pages/cup.html"):
        (mine.folder / path).write_bytes(windows((brew.begin / path).read_text("utf-8")))
    assert [labkit("snippet", "insert", each)[0] for each in ("pour", "cup-label")] == [0, 0]
    for path in ("app.py", "pages/cup.html"):
        assert (mine.folder / path).read_bytes() == windows((brew.end / path).read_text("utf-8"))
    assert labkit("list")[1].count("[x]") + labkit("list")[1].count("✓") > 0


MEASURED = """
import sys
from labkit.cli import run
from pathlib import Path
for command in sys.argv[1:]:
    run(command.split())
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024, file=sys.stderr)
"""
"""Runs commands, and tells how many MB this process had in memory at most."""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["many files", "long lines", "short lines", "films"])
def test_whatever_the_workspace_holds_labkit_takes_less_than_200_mb(
    mine: Workspace, tea_folder: Path, kind: str
) -> None:
    text = b"x = 'TODO tea'\n" * 65_000
    made = {
        "many files": {f"n{n}.py": text for n in range(100)},
        "long lines": {f"n{n}.js": b"x" * (tree.LARGE * (n + 1) - 1) for n in range(6)},
        "short lines": {f"n{n}.html": b"\n" * (tree.LARGE * (n + 1) - 1) for n in range(6)},
        "films": {},
    }[kind]
    for name, content in made.items():
        (mine.folder / name).write_bytes(content)
    for number in range(20 if kind == "films" else 0):
        with (mine.folder / f"{number}.mp4").open("wb") as film:
            film.truncate(20_000_000)
    commands = ("status", "list", "diff", "snippet insert pour", "undo", "reset app.py --yes", "pack", "next")
    result = subprocess.run(
        [sys.executable, "-P", "-c", MEASURED, *commands],
        cwd=mine.folder,
        env={**os.environ, "LABKIT_LAB": str(tea_folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert int(result.stderr.splitlines()[-1]) < 200


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_however_much_an_app_says_labkit_keeps_some_of_it_and_counts_the_rest(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from labkit import instances
from labkit.lab import App
says = "import sys; [sys.stdout.write('x' * 1_000_000) for _ in range(200)]; raise SystemExit(1)"
folder = Path(sys.argv[1])
try:
    with instances.running(
        App(("{python}", "-c", says), "/", "/", 1, {}), folder, data=folder, secret="", id="", count=1
    ):
        pass
except Exception as error:
    print(len(str(error)))
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024)
"""
    said = subprocess.run([sys.executable, "-P", "-c", code, tmp_path], capture_output=True, text=True, check=True)
    length, peak = map(int, said.stdout.split())
    log = (tmp_path / "logs" / "instance-1.log").read_bytes()
    assert (length < 100_000, peak < 200) == (True, True)
    assert len(log) < instances.MOST_LOG + 100
    assert log.splitlines()[-1].endswith(b" more bytes of the log are left out.)")


def test_of_much_code_the_smallest_files_are_looked_through(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"data-{number:02}.csv").write_bytes(b"1\n" * 499_000)
    (tmp_path / "app.py").write_text("tea = 1\n")
    (tmp_path / "zoo.py").write_text("cup = 1\n")
    found = tree.code_files(tmp_path)
    assert {"app.py", "zoo.py"} < set(found)
    assert found == sorted(found)
    assert sum((tmp_path / path).stat().st_size for path in found) <= tree.MOST_CODE


def test_an_environment_of_python_is_none_of_the_app_whatever_its_name(mine: Workspace, brew: Exercise) -> None:
    made = mine.folder / "env"
    (made / "bin").mkdir(parents=True)
    (made / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (made / "bin" / "activate").write_text("${1:-}\n")
    assert snippets.unfilled(mine.folder) == []
    assert [each.path for each in workspace.compare(mine.folder, brew.begin)] == []
    assert staging.stage(mine.folder, mine.folder.parent / "staged") == []
    assert not (mine.folder.parent / "staged" / "env").exists()
