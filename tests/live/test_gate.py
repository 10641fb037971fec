"""Only the person who started a live page gets in: not another site, another port, another name or another tab."""

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from labkit.live.gate import Gate, address

TOKEN = "the token"
OWN = {"host": "127.0.0.1:4711"}
KEY = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Starlette(routes=[Route("/", answer), Route("/api/do", answer, methods=["GET", "POST"])])
    gate = Gate(app, port=4711, token=TOKEN, guarded=("/api/",), host_names=["Lab-4711.example.dev"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://127.0.0.1:4711") as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        OWN | KEY,
        OWN | KEY | {"origin": "http://127.0.0.1:4711", "sec-fetch-site": "same-origin"},
        {"host": "localhost:4711", "origin": "http://localhost:4711"} | KEY,
        {"host": "lab-4711.example.dev", "origin": "https://lab-4711.example.dev"} | KEY,
        {"host": "lab-4711.example.dev", "origin": "http://localhost:4711"} | KEY,  # a proxy rewrites one of them
        {"host": "LOCALHOST:4711", "sec-fetch-site": "none"} | KEY,
    ],
)
async def test_the_person_with_the_token_gets_in(client: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
    answer = await client.post("/api/do", headers=headers)
    assert (answer.status_code, answer.text) == (200, "in")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (OWN, "The token is missing: open the address that labkit printed."),
        (OWN | {"authorization": "Bearer the toke"}, "The token is missing: open the address that labkit printed."),
        (OWN | {"cookie": f"token={TOKEN}"}, "The token is missing: open the address that labkit printed."),
        ({"host": "evil.example:4711"} | KEY, "This server has another name."),
        ({"host": "127.0.0.1"} | KEY, "This server has another name."),
        ({"host": "127.0.0.1:4712"} | KEY, "This server has another name."),
        ({"host": "evil.example@127.0.0.1:4711"} | KEY, "This server has another name."),
        (OWN | KEY | {"origin": "http://127.0.0.1:4712"}, "Other pages may not use this server."),
        (OWN | KEY | {"origin": "https://evil.example"}, "Other pages may not use this server."),
        (OWN | KEY | {"origin": "null"}, "Other pages may not use this server."),
        (OWN | KEY | {"origin": ""}, "Other pages may not use this server."),
        (OWN | KEY | {"sec-fetch-site": "same-site"}, "Other pages may not use this server."),
        (OWN | KEY | {"sec-fetch-site": "cross-site"}, "Other pages may not use this server."),
    ],
)
async def test_nobody_else_gets_in(client: httpx.AsyncClient, headers: Mapping[str, str], why: str) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, "/api/do", headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"error": {"message": why}})


async def test_the_page_itself_needs_no_token_and_no_other_page_can_read_or_frame_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers=OWN | {"sec-fetch-site": "none"})
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in _SAFE} == _SAFE
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (await client.get("/", headers=OWN | {"sec-fetch-site": "same-site"})).status_code == 403


_SAFE = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def test_the_token_is_in_the_fragment_that_browsers_do_not_send() -> None:
    assert address(4711, "abc") == "http://127.0.0.1:4711/#token=abc"
    assert address(4711, "abc", "lab-4711.example.dev") == "https://lab-4711.example.dev/#token=abc"
