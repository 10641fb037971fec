"""A class board: who joins is on it, sees nothing of others, comes back after a loss, and is forgotten on request."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asgi_signalr.testing import RefusedError, TestClient, running
from websockets.sync.client import connect

from labkit import language, verdicts, workspace
from labkit.classroom import certificate, joining
from labkit.classroom.board import STATIC, Board
from labkit.classroom.room import MOST_WRONG, STUCK, Room, Told, ToldCheck, ToldTask
from labkit.errors import MachineError, UsageError
from labkit.lab import Lab
from labkit.live import pages
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.workspace import Workspace

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TOKEN = "t" * 40
Opened = tuple["subprocess.Popen[str]", str, str]


@pytest.fixture
def room(tea: Lab) -> Room:
    return Room(tea, AT + timedelta(hours=1))


def told(room: Room, id_: str = "ann", verdict: str = "not done", **more: Any) -> Told:
    tasks = {"a1.2": ToldTask(verdict == "passed", "now", [ToldCheck("a1.2/cup", verdict)])}
    return Told(**{"code": room.code, "id": id_.ljust(16, "-"), "exercise": "a1", "tasks": tasks, **more})


def test_the_board_shows_states_counts_and_who_is_stuck(room: Room) -> None:
    room.tell(told(room, "ann", name="Ann"), AT)
    room.tell(told(room, "bob", "passed", hand=True), AT)
    later = room.to_json(AT + STUCK)
    assert later["trainees"] == [
        *(
            {
                "number": 1,
                "name": "Ann",
                "here": True,
                "hand": False,
                "failure": False,
                "work": False,
                "stuck": "a1.2/cup",
                "tasks": {"a1.2": "not done"},
            },
            {
                "number": 2,
                "name": None,
                "here": True,
                "hand": True,
                "failure": False,
                "work": False,
                "stuck": None,
                "tasks": {"a1.2": "passed"},
            },
        )
    ]
    assert later["checks"] == [{"id": "a1.2/cup", "passed": 1, "tried": 2}]
    assert [each["stuck"] for each in room.to_json(AT + STUCK - timedelta(seconds=1))["trainees"]] == [None, None]
    room.tell(told(room, "ann", "passed"), AT + STUCK)
    assert room.to_json(AT + 2 * STUCK)["trainees"][0]["stuck"] is None


def test_a_board_may_show_numbers_alone(tea: Lab) -> None:
    room = Room(tea, datetime.now().astimezone() + timedelta(hours=1))
    room.tell(told(room, name="Ann"), AT)
    boards = [Board(room, TOKEN, "http://board", names=names) for names in (True, False)]
    assert [board.to_json()["trainees"][0]["name"] for board in boards] == ["Ann", None]


def test_the_board_is_in_the_readers_language(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "es")
    page, texts = (
        bytes(each.body).decode() for each in (pages.page(STATIC / "board.html"), pages.texts(STATIC / "board.js"))
    )
    assert ('<html lang="es">' in page, "Tablero de la clase" in page, "{{" in page) == (True, True, False)
    said, _ = json.JSONDecoder().raw_decode(texts.removeprefix("const texts = "))
    assert said["{number} hands raised"] == "{number} manos levantadas"
    assert [each for each, translated in said.items() if each == translated] == []


def test_a_code_expires_for_newcomers_and_cannot_be_guessed(room: Room) -> None:
    room.tell(told(room, "ann"), AT)
    late = AT + timedelta(hours=2)
    with pytest.raises(UsageError, match="has expired"):
        room.tell(told(room, "bob"), late)
    assert room.tell(told(room, "ann"), late).number == 1
    assert room.to_json(late)["code"] is None
    for _ in range(MOST_WRONG):
        with pytest.raises(UsageError, match="not the class's join code"):
            room.tell(told(room, "eve", code="WRONG1"), AT)
    with pytest.raises(UsageError, match="Too many wrong codes"):
        room.tell(told(room, "eve"), AT)
    assert room.tell(told(room, "eve"), AT + timedelta(minutes=1)).number == 2


def test_a_trainee_is_forgotten_by_number_or_name(room: Room) -> None:
    for name in ("Ann", "Bob"):
        room.tell(told(room, name, name=name), AT)
    room.remove("1")
    room.remove("Bob")
    assert room.to_json(AT)["trainees"] == []
    with pytest.raises(UsageError, match="Unknown trainee"):
        room.remove("Bob")


def test_hostile_names_and_other_labs_are_refused_or_harmless(room: Room) -> None:
    assert room.tell(told(room, name="\x1b[2J" + "x" * 100), AT).name == "x" * 60 + "… (40 more characters)"
    with pytest.raises(UsageError, match="you another one"):
        room.tell(told(room, tasks={"zz.1": ToldTask(True, "", [])}), AT)


def message(room: Room, number: int) -> dict[str, Any]:
    return {
        "code": room.code,
        "id": f"trainee-{number:03}-of-this-class",
        "exercise": "a1",
        "tasks": {
            "a1.2": {"passed": number % 2 == 0, "when": "now", "checks": [{"id": "a1.2/cup", "verdict": "passed"}]}
        },
    }


async def test_a_hundred_trainees_are_on_the_board_and_away_when_they_leave(tea: Lab) -> None:
    room = Room(tea, datetime.now().astimezone() + timedelta(hours=1))
    board = Board(room, TOKEN, "http://board")
    app = board.app(80, ("testserver", "localhost"))
    async with running(app):
        trainees = [TestClient(app, "/signalr/join", headers={"host": "127.0.0.1:80"}) for _ in range(100)]
        await asyncio.gather(*(each.__aenter__() for each in trainees))
        numbers = [await each.invoke("tell", message(room, n)) for n, each in enumerate(trainees)]
        assert sorted(each["number"] for each in numbers) == list(range(1, 101))
        with pytest.raises(RefusedError):
            async with TestClient(app, "/signalr/board", headers={"host": "127.0.0.1:80"}):
                pass
        async with TestClient(
            app, "/signalr/board", headers={"host": "127.0.0.1:80"}, access_token=TOKEN, timeout=20
        ) as page:
            everything = await page.invoke("everything")
            assert sum(each["tasks"] == {"a1.2": "passed"} for each in everything["trainees"]) == 50
            await asyncio.gather(*(each.close() for each in trainees[:99]))
            while sum(each["here"] for each in everything["trainees"]) != 1:
                (everything,) = await page.next("state")
            with pytest.raises(Exception, match="is none of labkit's messages"):
                await trainees[99].invoke("tell", {"code": 1})
            assert (await trainees[99].invoke("tell", message(room, 0)))["number"] == 1
            await trainees[99].close()


@pytest.fixture
def here(tea: Lab, tmp_path: Path) -> Workspace:
    """A workspace with a line of the trainee's own, and a failure at the last verdict."""
    here = workspace.create(tea, tea.exercises[0], tmp_path / "mine")
    check = Check("a1.2/cup", "The cup is full.", "a1.2", 5)
    found = Result(Verdict.NOT_DONE, "a cup", "my secret text", f"{here.folder}/tea.py:3", "my own words")
    report = Report("a1", "workspace", 1.0, (TaskReport("a1.2", "Pour it", ((check, found),)),))
    verdicts.remember(here.folder, report, "digest", AT)
    (here.folder / "tea.py").write_text("my_own_line = 1\n", "utf-8")
    return here


def test_what_is_sent_has_no_code_and_no_text_of_the_trainee(here: Workspace) -> None:
    joining.hand(here, up=True)
    sent = joining.Sender(here, "code-FINGERPRINT", None).message()
    assert sent == {
        "code": "code",
        "id": sent["id"],
        "name": None,
        "exercise": "a1",
        "hand": True,
        "failure": None,
        "work": None,
        "tasks": {
            "a1.2": {
                "passed": False,
                "when": sent["tasks"]["a1.2"]["when"],
                "checks": [{"id": "a1.2/cup", "verdict": "not done"}],
            }
        },
    }
    assert joining.Sender(here, "CODE", "Ann").message()["id"] == sent["id"]


def test_a_workspace_that_was_deleted_leaves_the_class_and_is_not_made_again(here: Workspace) -> None:
    sender = joining.Sender(here, "CODE", None)
    sent = sender.message()
    shutil.rmtree(here.folder / ".labkit")  # as whoever deletes it has come so far
    assert (sender.message()["id"], (here.folder / ".labkit").exists()) == (sent["id"], False)
    shutil.rmtree(here.folder)
    with pytest.raises(MachineError, match=r"The workspace is no longer there: .*mine\."):
        sender.message()
    said: list[str] = []
    with pytest.raises(MachineError, match="is no longer there"):
        joining.join(joining.Invitation("http://127.0.0.1:9", "CODE"), sender, said.append)
    assert (said, here.folder.exists()) == ([], False)


def test_a_failure_and_the_work_are_sent_to_whoever_opens_them_and_taken_back(tea: Lab, here: Workspace) -> None:
    room = Room(tea, AT + timedelta(hours=1))
    sender = joining.Sender(here, room.code, None, shares=tea.exercises[0])

    def tell() -> dict[str, Any]:
        room.tell(msgspec.convert(sender.message(), Told), AT)
        return dict(room.to_json(AT)["trainees"][0])

    joining.send(here, joining.failure(here))
    assert (tell()["failure"], tell()["work"]) == (True, True)
    when = verdicts.failures(here.folder)["a1.2"]["when"]
    assert room.opened(1)["failure"] == (
        f"a1.2  The cup is full. (not done, {when})\n"
        "expected: a cup\nseen: my secret text\nwhere: mine/tea.py:3\ncause: my own words"
    )
    assert "+my_own_line = 1" in (room.opened(1)["work"] or "").splitlines()
    # None of it is on the board that the class sees.
    assert "secret" not in json.dumps(room.to_json(AT))
    # What is written meanwhile is not sent before the next verdict.
    (here.folder / "tea.py").write_text("unfinished = 1\n", "utf-8")
    joining.send(here, None)
    assert (tell()["failure"], "unfinished" in str(room.opened(1)["work"])) == (False, False)


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("ftp://board", "CODE", "is no address of a board"),
        ("http://board:99999", "CODE", "is no address of a board"),
        ("http://board:1", "CODE-PRINT", "is that of an https board"),
    ],
)
def test_an_invitation_that_cannot_be_right_is_refused(url: str, code: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        joining.Invitation(url, code)


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Callable[[bool], int]]:
    """Starts what takes a connection, by TLS or not, and then says nothing: its port."""
    with contextlib.ExitStack() as stack:

        def start(tls: bool) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            file, key, _ = certificate.make(tmp_path, ("127.0.0.1",))
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(file, key)

            def serve() -> None:
                with contextlib.suppress(OSError), contextlib.ExitStack() as taken:
                    while True:
                        one = taken.enter_context(listener.accept()[0])
                        if tls:
                            taken.enter_context(context.wrap_socket(one, server_side=True))

            threading.Thread(target=serve, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


@pytest.mark.parametrize(
    ("scheme", "tls", "reason"),
    [
        ("https", True, "no answer"),
        ("http", False, "no answer"),
        ("https", None, os.strerror(errno.ECONNREFUSED)),
    ],
)
def test_a_board_that_never_answers_is_given_up(
    here: Workspace,
    tmp_path: Path,
    mute: Callable[[bool], int],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    tls: bool | None,
    reason: str,
) -> None:
    monkeypatch.setattr(joining, "TRYING", 0)
    monkeypatch.setattr(joining, "PATIENCE", 0.5)
    if tls is None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
    else:
        port = mute(tls)
    url = f"{scheme}://127.0.0.1:{port}"
    ca = tmp_path / "certificate.pem" if tls else None
    with pytest.raises(MachineError) as raised:
        joining.join(joining.Invitation(url, "CODE", ca), joining.Sender(here, "CODE", None), pytest.fail)
    assert raised.value.message == f"No board answers at {url}: {reason}."
    assert str(raised.value.next).endswith("labkit class join URL CODE")


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(here: Workspace, mute: Callable[[bool], int]) -> None:
    invitation = joining.Invitation(f"https://127.0.0.1:{mute(True)}", "CODE")
    with pytest.raises(UsageError, match="does not trust the board's certificate"):
        joining.join(invitation, joining.Sender(here, "CODE", None), pytest.fail)


LABKIT = [sys.executable, "-m", "labkit"]


@pytest.fixture
def opened(tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Opened]]:
    """Opens the board of the tea class as a process: it, and the address and the code that trainees type."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    with contextlib.ExitStack() as stack:

        def open_(*more: str) -> Opened:
            command = [*LABKIT, "class", "open", "--host", "127.0.0.1", "--no-open", "--lab", str(tea.folder), *more]
            board = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8")
            stack.callback(board.wait)
            stack.callback(board.kill)
            assert board.stdout is not None
            url, code = next(line for line in board.stdout if "class join" in line).split()[-2:]
            return board, url, code

        yield open_


def ask(folder: Path, *arguments: str) -> tuple[int, str]:
    """What a command of `labkit class` says, with its exit code."""
    command = [*LABKIT, "class", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=90)
    return done.returncode, done.stdout + done.stderr


def joined(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A trainee's process, which says when it is in."""
    return subprocess.Popen(
        [*LABKIT, "class", "join", *arguments], cwd=folder, stdout=subprocess.PIPE, encoding="utf-8"
    )


def number_of(joined: "subprocess.Popen[str]") -> int:
    assert joined.stdout is not None
    return int(next(line for line in joined.stdout if "You are number" in line).split()[3])


@pytest.mark.slow
def test_https_is_trusted_by_the_code_or_by_the_certificate_that_is_named(
    opened: Callable[..., Opened], here: Workspace, tmp_path: Path
) -> None:
    _, url, code = opened("--tls")
    assert (url.startswith("https://127.0.0.1:"), len(code)) == (True, 6 + 1 + 16)
    trainee = joined(here.folder, url, code)
    assert number_of(trainee) == 1
    other = code[:-1] + ("A" if code[-1] != "A" else "B")
    status, said = ask(here.folder, "join", url, other)
    assert (status, "its certificate is another one" in said) == (2, True)
    status, said = ask(here.folder, "join", url, code[:6])
    assert (status, "does not trust the board's certificate" in said, "--ca FILE" in said) == (2, True, True)
    assert ask(tmp_path, "close") == (0, "The class of 1 trainee is closed.\n")
    trainee.terminate()
    trainee.wait()
    # A certificate of one's own.
    file, key, _ = certificate.make(tmp_path, ("127.0.0.1",))
    _, url, code = opened("--cert", str(file), "--key", str(key))
    trainee = joined(here.folder, url, code, "--ca", str(file))
    assert (number_of(trainee), len(code)) == (1, 6)
    trainee.terminate()
    trainee.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thirty_processes_are_on_the_board_each_with_its_own(
    opened: Callable[..., Opened], tea: Lab, tmp_path: Path
) -> None:
    board, url, code = opened("--keep", "kept.json")
    first = workspace.create(tea, tea.exercises[0], tmp_path / "t0")
    trainees = []
    with contextlib.ExitStack() as stack:
        for number in range(30):
            folder = tmp_path / f"t{number}"
            if number:
                shutil.copytree(first.folder, folder)
            verdict = Verdict.PASSED if number % 3 else Verdict.NOT_DONE
            check = Check("a1.2/cup", "The cup is full.", "a1.2", 5)
            tasks = (TaskReport("a1.2", "Pour it", ((check, Result(verdict, "a cup", "none")),)),)
            if number >= 10:
                verdicts.remember(folder, Report("a1", "workspace", 1.0, tasks), "digest", AT)
            trainees.append(joined(folder, url, code, "--name", f"Trainee {number}"))
            stack.callback(trainees[-1].wait)
            stack.callback(trainees[-1].terminate)
        assert sorted(number_of(each) for each in trainees) == list(range(1, 31))
        assert ask(tmp_path / "t29", "send")[0] == 2  # the last verdict was a good one
        assert ask(tmp_path / "t12", "send")[0] == 0
        assert ask(tmp_path / "t3", "hand")[0] == 0
        # Ten have not verified yet, ten of twenty pass.
        verdicts.remember(tmp_path / "t0", Report("a1", "workspace", 1.0, tasks), "digest", AT)
        seen = wait_for(
            tmp_path,
            lambda state: (
                [each["tried"] for each in state["checks"]] == [21]
                and any(each["hand"] for each in state["trainees"])
                and any(each["failure"] for each in state["trainees"])
            ),
        )
    assert seen["checks"] == [{"id": "a1.2/cup", "passed": 15, "tried": 21}]
    assert {each["name"] for each in seen["trainees"] if each["hand"]} == {"Trainee 3"}
    assert {each["name"] for each in seen["trainees"] if each["failure"]} == {"Trainee 12"}
    assert ask(tmp_path, "close") == (0, "The class of 30 trainees is closed.\n")
    assert board.wait(20) == 0
    kept = json.loads((tmp_path / "kept.json").read_text("utf-8"))
    assert len({each["number"] for each in kept["trainees"]}) == 30


def wait_for(folder: Path, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The board of the class that was opened in a folder, as its page sees it, once that is true."""
    from labkit.live import keys

    key = keys.read("class", folder)
    board = "ws://127.0.0.1:" + f"{key.port}/signalr/board?access_token={key.token}"
    with connect(board, open_timeout=60) as page:
        page.send(
            '{"protocol":"json","version":1}\x1e{"type":1,"invocationId":"1","target":"everything","arguments":[]}\x1e'
        )
        while True:
            for text in str(page.recv(timeout=60)).split("\x1e"):
                record = json.loads(text) if text else {}
                state = record.get("result") or (record.get("arguments") or [None])[0]
                if isinstance(state, dict) and true(state):
                    return state


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX")
@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.slow
def test_a_class_is_opened_joined_and_closed_by_commands(
    opened: Callable[..., Opened], tea: Lab, tmp_path: Path
) -> None:
    mine = workspace.create(tea, tea.exercises[0], tmp_path / "mine").folder
    board, url, code = opened()
    assert ask(mine, "join", url, "NOCODE")[1].splitlines()[-2] == "This is not the class's join code."
    trainee = joined(mine, url, code, "--name", "Ann")
    assert trainee.stdout is not None
    try:
        assert number_of(trainee) == 1
        assert ask(tmp_path, "remove", "Zoe")[1].startswith("Unknown trainee")
        assert ask(tmp_path, "close") == (0, "The class of 1 trainee is closed.\n")
        assert board.wait(20) == 0
        assert next(line for line in trainee.stdout if "reached" in line) == (
            "The board cannot be reached (it has been closed, unless it opens again); trying again …\n"
        )
        assert ask(tmp_path, "close")[1].startswith("No board is open")
    finally:
        trainee.terminate()
        assert trainee.wait(20) in (0, 130)


class Line:
    """A line between a trainee's machine and the board, at another address of this machine, which can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.2", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                other = socket.create_connection(("127.0.0.1", self._port))
                self._open += [one, other]
                for source, target in ((one, other), (other, one)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has all of 127.0.0.0/8")
def test_a_machine_that_has_lost_the_network_tells_everything_again(
    tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    here = workspace.create(tea, tea.exercises[0], tmp_path / "mine")
    command = [sys.executable, "-m", "labkit", "class", "open", "--host", "127.0.0.1", "--host-name", "127.0.0.2"]
    command += ["--no-open", "--lab", str(tea.folder), "--keep", "kept.json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8") as board:
        assert board.stdout is not None
        url, code = next(line for line in board.stdout if "class join" in line).split()[-2:]
        line = Line(int(url.rpartition(":")[2]))
        joined = subprocess.Popen(
            [sys.executable, "-m", "labkit", "class", "join", url, code, "--name", "Ann"],
            cwd=here.folder,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert joined.stdout is not None
        next(text for text in joined.stdout if text == "You are number 1 of the class.\n")
        line.cut()
        joining.hand(here, up=True)
        assert next(joined.stdout).startswith("The board cannot be reached")
        assert next(joined.stdout) == "You are number 1 of the class.\n"
        joined.terminate()
        joined.wait()
        line.close()
        closing = [sys.executable, "-m", "labkit", "class", "close"]
        assert subprocess.run(closing, cwd=tmp_path, check=True, capture_output=True).stdout == (
            b"The class of 1 trainee is closed.\n"
        )
    (ann,) = json.loads((tmp_path / "kept.json").read_text("utf-8"))["trainees"]
    assert (ann["name"], ann["hand"]) == ("Ann", True)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (1280, "dark")])
async def test_the_page_follows_the_class_and_is_readable(tea: Lab, tmp_path: Path, width: int, scheme: Any) -> None:
    from axe_playwright_python.async_playwright import Axe
    from playwright.async_api import async_playwright, expect

    from labkit.browser import launch_options
    from labkit.live import server

    room = Room(tea, datetime.now().astimezone() + timedelta(hours=1))
    listener = server.listen(None)
    port = listener.getsockname()[1]
    board = Board(room, TOKEN, f"http://class.example:{port}")
    app = board.app(port)
    import uvicorn

    serving = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    task = asyncio.create_task(serving.serve(sockets=[listener]))
    headers = {"host": f"127.0.0.1:{port}"}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = await context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.split("/")[2]))
        await page.goto(f"http://127.0.0.1:{port}/#token={TOKEN}")
        await expect(page.get_by_role("status")).to_have_text("Live")
        await expect(page.locator("#join")).to_have_text(
            f"Join: labkit class join http://class.example:{port} {room.code}"
        )
        async with (
            TestClient(app, "/signalr/join", headers=headers) as ann,
            TestClient(app, "/signalr/join", headers=headers) as bob,
        ):
            await ann.invoke("tell", message(room, 1) | {"name": "<b>Ann</b>"})
            await bob.invoke("tell", message(room, 2) | {"hand": True})
            await expect(page.locator("tbody th")).to_contain_text(["No. 2", "<b>Ann</b>"])
            await expect(page.locator("tbody td.passed")).to_have_count(1)
            await expect(page.locator("#checks li")).to_have_text(["2 / 2 Cup"])
            found = (await Axe().run(page)).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.screenshot(path=tmp_path / "board.png", full_page=True)
        await expect(page.locator("tbody tr.away")).to_have_count(2)
        assert set(asked) == {f"127.0.0.1:{port}"}
        await browser.close()
    serving.should_exit = True
    await task
