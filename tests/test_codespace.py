"""The lab in a codespace, a container far away whose ports a proxy gives names: addresses, hosts and origins."""

import importlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from labkit import forwarding

ROOT = Path(__file__).parent.parent
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
FAR = "super-quiz-5w7g-8000.app.github.dev"


@pytest.fixture
async def quiz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncClient]:
    """The finished quiz, with the settings of the container."""
    for name in [name for name in sys.modules if name.split(".")[0] == "geekquiz"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(ROOT / "exercises" / "ex1-realtime" / "end"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{(tmp_path / 'quiz.db').as_posix()}")
    monkeypatch.setenv("GEEKQUIZ_HOSTS", CONTAINER["remoteEnv"]["GEEKQUIZ_HOSTS"])
    main = importlib.import_module("geekquiz.main")
    async with main.lifespan(main.app), AsyncClient(transport=ASGITransport(app=main.app)) as client:
        yield client
    for name in [name for name in sys.modules if name.split(".")[0] == "geekquiz"]:
        del sys.modules[name]


@pytest.mark.parametrize("site", ["same-origin", None])
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),  # the proxy writes both anew,
        ("localhost:8000", "https://localhost:8000"),
        (FAR, f"https://{FAR}"),  # or leaves both as the browser has sent them
    ],
)
async def test_who_comes_through_the_proxy_may_log_in_and_connect(
    quiz: AsyncClient, host: str, origin: str, site: str | None
) -> None:
    base = f"http://{host}"
    headers = {"Origin": origin, "X-Forwarded-Host": FAR} | ({"Sec-Fetch-Site": site} if site else {})
    form = {"name": "Ada", "password": "correct horse", "confirm": "correct horse"}
    assert (await quiz.post(f"{base}/account/register", data=form, headers=headers)).status_code == 303
    answer = await quiz.post(f"{base}/signalr/statistics/negotiate?negotiateVersion=1", headers=headers)
    assert (answer.status_code, "connectionToken" in answer.json()) == (200, True)


async def test_another_codespaces_page_may_not(quiz: AsyncClient) -> None:
    headers = {"Origin": "https://somebody-elses-8000.app.github.dev"}
    answer = await quiz.post(f"http://{FAR}/account/login", data={"name": "Ada"}, headers=headers)
    assert answer.status_code == 403


def test_what_is_printed_and_opened_is_the_proxys_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODESPACE_NAME", raising=False)
    assert forwarding.page("http://127.0.0.1:8000/play") == "http://127.0.0.1:8000/play"
    monkeypatch.setenv("CODESPACE_NAME", "super-quiz-5w7g")
    monkeypatch.setenv("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
    assert forwarding.page("http://127.0.0.1:8000/play") == f"https://{FAR}/play"
    assert forwarding.page("https://example.org/") == "https://example.org/"


def test_the_container_prepares_the_machine_as_the_manual_says() -> None:
    assert CONTAINER["postCreateCommand"] == "uv run labkit setup --yes"
    text = (ROOT / ".devcontainer" / CONTAINER["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert text.split("FROM ")[1].startswith("python:3.")
