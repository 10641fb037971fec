"""A desk does what the commands do, once however often it is pressed, and knows what was done elsewhere."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labkit import processes, tree, verdicts, workspace
from labkit.errors import UsageError
from labkit.lab import Exercise, Lab, find_lab
from labkit.live import runner
from labkit.live.desk import Desk
from labkit.live.logs import Logs
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

NOW = datetime(2026, 11, 30, 12, 0)


@pytest.fixture
def desk(tea: Lab, brew: Exercise, tmp_path: Path) -> Iterator[Desk]:
    """The desk of the small lab's exercise, in a folder where nothing is yet."""
    (tmp_path / "work").mkdir()
    desk = Desk(tea, brew, tmp_path / "work", lambda kind, exercise, news: None)
    yield desk
    desk.close()


def checks(desk: Desk, *names: str) -> list[dict[str, Any]]:
    """The checks as the page has them, with these entries of each."""
    return [{name: each[name] for name in names} for each in desk.to_json()["verify"]["checks"]]


def found_elsewhere(desk: Desk, verdict: Verdict, when: datetime) -> None:
    """Remember a verdict on the second task, as `labkit verify` in another window does."""
    assert desk.workspace is not None
    task = desk.exercise.tasks[1]
    check = (Check("a1.2/cup", "The cup is full.", task.id, 1), Result(verdict))
    report = Report("a1", "workspace", 1, (TaskReport(task.id, task.title, (check,)),))
    verdicts.remember(desk.workspace.folder, report, tree.digest(desk.workspace.folder), when)


def test_twenty_presses_at_once_do_the_thing_once(desk: Desk) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: desk.do("start", {})["message"], range(20)))
        assert any(answer.startswith("Made your workspace ") for answer in answers)
        list(pool.map(lambda _: desk.do("insert", {"name": "pour"}), range(20)))
    assert desk.workspace is not None
    assert [path.name for path in desk.workspace.folder.parent.iterdir()] == ["a1-brew"]
    assert [path.name for path in (desk.workspace.folder / ".labkit/journal").iterdir()] == ["0001"]


def test_what_is_inserted_is_shown_and_can_be_taken_back(desk: Desk) -> None:
    assert desk.to_json()["workspace"] is None
    desk.do("start", {})
    answer = desk.do("insert", {"name": "pour", "value": "black"})
    assert answer["message"] == "Inserted pour into app.py, line 3."
    assert '+    cup = "black"\n' in answer["diff"]
    assert desk.to_json()["undo"] == "insert pour"
    assert desk.do("undo", {})["message"].startswith("Undone: insert pour.")
    assert desk.to_json()["undo"] is None


def test_what_was_saved_after_the_last_look_is_seen_by_an_insert(desk: Desk) -> None:
    desk.do("start", {})
    assert desk.workspace is not None
    desk.to_json()
    app = desk.workspace.folder / "app.py"
    typed = app.read_text().replace("    # TODO pour: pour it into the cup", '    cup = "mint"\n    print(cup)')
    app.write_text(typed)
    assert desk.do("insert", {"name": "pour"})["message"] == "pour is in app.py already, line 3."
    assert app.read_text() == typed


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        ("insert", {"name": "pour"}, "There is no workspace of a1 yet."),
        ("rm", {}, "Unknown action “rm”."),
        ("start", {"folder": "/"}, "start does not take that: "),
        ("insert", {"name": ["pour"]}, "insert takes texts, numbers, yes and no only."),
    ],
)
def test_what_cannot_be_done_is_said(desk: Desk, action: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        desk.do(action, arguments)
    assert raised.value.message.startswith(message)


@pytest.mark.skipif(sys.platform == "win32", reason="programs are files with a first line here")
def test_files_and_the_whole_workspace_open_in_the_editor_and_nothing_beside_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.do("start", {})
    folder = tmp_path / "work" / "a1-brew"
    pipe = tmp_path / "told"
    os.mkfifo(pipe)
    editor = tmp_path / "code"
    editor.write_text(f'#!/bin/sh\necho "$@" > {pipe}\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    assert desk.do("open", {"path": "app.py", "line": 3})["message"] == "Opened app.py in code."
    assert pipe.read_text() == f"--goto {folder / 'app.py'}:3\n"
    assert desk.do("open", {})["message"] == "Opened a1-brew in code."
    assert pipe.read_text() == f"{folder}\n"
    (tmp_path / "work" / "secret.py").touch()
    with pytest.raises(UsageError, match=r"There is no file \.\./secret\.py in your workspace"):
        desk.do("open", {"path": "../secret.py"})


def test_what_another_window_has_found_is_known_until_a_file_changes(desk: Desk) -> None:
    desk.do("start", {})
    found_elsewhere(desk, Verdict.NOT_DONE, NOW)
    assert checks(desk, "id", "verdict", "stale") == [{"id": "a1.2/cup", "verdict": "not done", "stale": False}]
    desk.do("insert", {"name": "pour"})
    assert checks(desk, "verdict", "stale") == [{"verdict": "not done", "stale": True}]
    found_elsewhere(desk, Verdict.PASSED, NOW + timedelta(seconds=1))
    assert checks(desk, "verdict", "stale") == [{"verdict": "passed", "stale": False}]
    found_elsewhere(desk, Verdict.NOT_DONE, NOW)  # an older one
    assert checks(desk, "verdict", "stale") == [{"verdict": "passed", "stale": False}]


def test_an_app_that_another_window_runs_is_shown_and_not_run_twice(desk: Desk) -> None:
    desk.do("start", {})
    assert desk.workspace is not None
    folder = desk.workspace.folder
    note = folder / ".labkit" / "running" / str(os.getppid())
    note.parent.mkdir()
    shown = []
    # Saved before it was started, as the workspace's files were; and saved since then.
    for since, ports in ((time.time() + 60, []), (time.time() + 60, [4711]), (0, [4711])):
        began = processes.began(os.getppid())
        note.write_text(json.dumps({"began": began, "since": since, "ports": ports}))
        app = desk.to_json()["app"]
        shown.append((app["state"], [each["url"] for each in app["instances"]], app["pages"], app["stale"]))
    url = "http://127.0.0.1:4711"
    pages = [f"{url}/", f"{url}/"]
    assert shown == [
        ("elsewhere", [], [], []),
        ("elsewhere", [url], pages, []),
        ("elsewhere", [url], pages, list(tree.app_files(folder))),
    ]
    assert desk.do("run", {}) == {"message": f"It runs already, in another window: {url}."}
    assert desk.do("stop", {}) == {"message": "It runs in another window: Ctrl-C there stops it."}
    assert desk.do("restart", {}) == {"message": "It runs in another window: r there restarts it."}
    note.write_text(json.dumps({"began": 1.0, "since": 0, "ports": [4711]}))  # of one that was killed
    desk.poll()
    assert desk.to_json()["app"]["state"] == "stopped"


def test_the_log_of_an_app_that_another_window_runs_is_read_as_it_comes(desk: Desk) -> None:
    desk.do("start", {})
    assert desk.workspace is not None
    note = desk.workspace.folder / ".labkit" / "running" / str(os.getppid())
    began, now = processes.began(os.getppid()), time.time() - 60
    note.parent.mkdir()
    note.write_text(json.dumps({"began": began, "since": now, "ports": [4711]}))
    log = desk.workspace.data / "logs" / "instance-1.log"
    log.parent.mkdir(parents=True)
    log.write_text("it begins\n")
    desk.to_json()
    desk.poll()
    desk.poll()
    with log.open("a") as file:
        file.write('kettle is on\nIt "GET ')
    desk.poll()
    assert list(desk.runner.lines) == [(1, "it begins"), (1, "kettle is on")]


def test_a_log_that_is_begun_anew_is_read_from_its_beginning_and_an_old_one_not_at_all(tmp_path: Path) -> None:
    for name in ("instance-1.log", "instance-2.log", "something.log"):
        (tmp_path / name).write_text("one\ntwo\n")
    os.utime(tmp_path / "instance-2.log", (1000, 1000))
    logs = Logs()
    assert logs.new(tmp_path, since=2000) == [(1, "one"), (1, "two")]
    (tmp_path / "instance-1.log").write_text("six\ntwo\n")
    assert logs.new(tmp_path, since=2000) == [(1, "six"), (1, "two")]
    (tmp_path / "instance-1.log").write_text("")
    assert logs.new(tmp_path, since=2000) == []
    (tmp_path / "instance-1.log").write_text("a long line\n" * 100_000)
    assert logs.new(tmp_path, since=2000) == [(1, "a long line")] * 400
    assert Logs().new(tmp_path / "none", since=0) == []


def test_a_damaged_memory_of_verdicts_is_passed_over(desk: Desk) -> None:
    desk.do("start", {})
    assert desk.workspace is not None
    (desk.workspace.folder / ".labkit" / "verdicts.json").write_text(
        '{"tasks": {"a1.1": {"digest": "", "when": 5}, "a1.2": {"digest": "", "when": "2026-11-30", "checks": [{}]}}}'
    )
    assert checks(desk, "id") == []


def test_the_workspace_is_the_one_that_list_shows(desk: Desk, tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    far = workspace.create(tea, brew, tmp_path / "elsewhere" / "mine")
    assert desk.find_workspace() == far  # the last used of all
    near = workspace.create(tea, brew, tmp_path / "work" / "tea")
    assert desk.find_workspace() == near
    (near.folder / ".labkit" / "workspace.json").unlink()  # as one that git has brought
    taken = desk.find_workspace()
    assert taken == desk.workspace
    assert taken is not None
    assert taken.folder == near.folder


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be halted there")
def test_an_instance_that_does_not_answer_is_told_and_one_that_does_is_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labkit import scaffold

    monkeypatch.setattr(runner, "HEALTH", 0.0)
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    folder = scaffold.new_lab("party", tmp_path / "party").folder
    settings = folder / "exercises" / "ex1-first-steps" / "exercise.toml"
    settings.write_text(
        settings.read_text().replace('home = "/"', 'home = "/"\ninstances = 2\nside-by-side = ["/", "/seen"]')
    )
    lab = find_lab(folder)
    made = workspace.create(lab, lab.exercises[0], tmp_path / "mine")
    lines: list[str] = []
    told: list[list[int]] = []
    app = runner.Runner(lab.exercises[0], lambda: told.append(app.silent), lambda number, line: lines.append(line))
    app.start(made)
    try:
        first, second = app.to_json()["instances"]
        assert app.to_json()["pages"] == [f"{first['url']}/", f"{second['url']}/seen"]
        assert app.poll()
        assert (app.silent, lines) == ([], [])  # what asks is not shown in the log
        (pid,) = (each.pid for each in app.instances if each.number == 2)
        os.kill(pid, signal.SIGSTOP)
        assert app.poll()
        assert app.to_json()["silent"] == told[-1] == [2]
        os.kill(pid, signal.SIGCONT)
        assert app.poll()
        assert app.silent == []
    finally:
        app.stop()
