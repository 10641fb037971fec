"""What is refused is noted in the log, and once what can be done about it."""

import logging
import multiprocessing
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR

Request = Callable[..., Awaitable[Any]]
Open = Callable[..., Any]

DEV = "http://localhost:5173"
STICKY = (
    "Chat: No Connection with that ID. If several servers or workers serve it, all requests of a connection have to "
    "reach the same one (sticky sessions), and they need a backplane to reach each other's clients."
)
ORIGIN = (
    "Pages of 'http://localhost:5173' were refused by Chat. "
    "If they may connect: SignalR(allowed_origins=['http://localhost:5173', …])."
)
PATH = (
    "A client asked for a hub at '/signalr/chat'. There are: /chat, /news "
    "(where the application is mounted under a prefix, without that prefix)."
)


class Chat(Hub):
    """Nothing is called here."""


class News(Hub):
    """Nor here."""


@pytest.fixture
def app() -> SignalR:
    app = SignalR()
    app.hub("/chat")(Chat)
    app.hub("/news")(News)
    return app


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == level]


@pytest.mark.parametrize(
    ("method", "url", "headers", "note", "advice"),
    [
        ("POST", "/chat/negotiate", {"Origin": DEV}, "403 Pages of this origin may not connect.", ORIGIN),
        ("GET", "/chat?id=unknown", {}, "404 No Connection with that ID", STICKY),
        ("POST", "/signalr/chat/negotiate", {}, "404 Not Found", PATH),
        ("websocket", "/signalr/chat", {}, "404 Not Found", PATH),
        ("websocket", "/chat?id=unknown", {}, "404 No Connection with that ID", STICKY),
        ("DELETE", "/chat?id=unknown", {}, "404 No Connection with that ID", None),
        ("POST", "/chat?id=unknown", {}, "404 No Connection with that ID", None),
        ("GET", "/favicon.ico", {}, "404 Not Found", None),
    ],
)
async def test_a_refusal_is_noted_and_advice_given_once(
    app: SignalR,
    request_to: Request,
    open_to: Open,
    caplog: pytest.LogCaptureFixture,
    method: str,
    url: str,
    headers: dict[str, str],
    note: str,
    advice: str | None,
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    for _ in range(2):
        if method == "websocket":
            await open_to(app, url, headers).refused()
        else:
            await request_to(app, method, url, headers)
    verb = "WebSocket" if method == "websocket" else method
    assert said(caplog, logging.DEBUG) == [f"{verb} '{url.partition('?')[0]}' is refused: {note}"] * 2
    assert said(caplog, logging.WARNING) == ([advice] if advice else [])


async def test_advice_comes_to_an_end_whatever_clients_ask_for(
    app: SignalR, request_to: Request, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(300):
        await request_to(app, "POST", f"/{number}\n{'x' * 1000}/negotiate")
    advice = said(caplog, logging.WARNING)
    assert len(advice) == 100
    assert all(len(each) < 500 and each.isprintable() for each in advice)


async def test_one_of_several_workers_explains_sticky_sessions_even_without_a_backplane(
    app: SignalR, request_to: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    refused = await request_to(app, "GET", "/chat?id=unknown")
    assert (refused.status, refused.text) == (
        404,
        "No Connection with that ID\nThere are several servers, and this one does not know it. All requests of a "
        "connection have to reach the server that it was negotiated with: configure sticky sessions, or have clients "
        "skip the negotiation for WebSockets.",
    )
