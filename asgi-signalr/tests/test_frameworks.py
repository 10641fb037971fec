"""What docs/frameworks.md and docs/origins.md say of hubs in applications of FastAPI."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from asgi_signalr import Hub, HubException, SignalR, bearer_token
from asgi_signalr.testing import RefusedError, TestClient, running
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer

PAGE = "http://localhost:5173"


class Chat(Hub):
    def whoami(self) -> str | None:
        return self.context.user_identifier


# Pages of other origins.


def served(signalr: SignalR, cors: dict[str, object] | None = None) -> FastAPI:
    signalr.hub("/chat")(Chat)
    app = FastAPI(lifespan=signalr.lifespan)
    app.mount("/signalr", signalr)
    if cors is not None:
        app.add_middleware(CORSMiddleware, **cors)  # type: ignore[arg-type]
    return app


async def may_connect(app: FastAPI) -> bool:
    """Do what a browser does for a page of another origin, with credentials: ask, negotiate, look at the answer."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        asking = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-user-agent",
        }
        asked = await http.options("/signalr/chat/negotiate", headers=asking)
        answered = await http.post("/signalr/chat/negotiate?negotiateVersion=1", headers={"Origin": PAGE})
        return all(
            response.is_success
            and response.headers.get("access-control-allow-origin") == PAGE
            and response.headers.get("access-control-allow-credentials") == "true"
            for response in (asked, answered)
        )


BOTH = {
    "allow_origins": [PAGE],
    "allow_credentials": True,
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["Authorization", "X-Requested-With", "X-SignalR-User-Agent"],
}


@pytest.mark.parametrize(
    ("allowed", "cors", "may"),
    [
        ([PAGE], None, True),
        ([PAGE], BOTH, True),
        ([], BOTH, False),
        ([PAGE], BOTH | {"allow_headers": []}, False),
        ([PAGE], {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]}, False),
    ],
    ids=["hubs only", "both", "middleware only", "without headers", "any origin without credentials"],
)
async def test_a_page_of_another_origin_connects(allowed: list[str], cors: dict[str, object] | None, may: bool) -> None:
    assert await may_connect(served(SignalR(allowed_origins=allowed), cors)) is may


# Lifespans, threads.


async def test_one_lifespan_holds_those_of_two_applications() -> None:
    one, other = SignalR(), SignalR()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with one.lifespan(), other.lifespan():
            yield

    app = FastAPI(lifespan=lifespan)
    for name, signalr in (("/one", one), ("/other", other)):
        signalr.hub("/chat")(Chat)
        app.mount(name, signalr)
    async with (
        running(app) as started,
        TestClient(started, "/one/chat") as ann,
        TestClient(started, "/other/chat") as bob,
    ):
        await one.hub_context(Chat).clients.all.send("said", "one")
        await other.hub_context(Chat).clients.all.send("said", "other")
        assert [await ann.next("said"), await bob.next("said")] == [["one"], ["other"]]


async def test_from_a_thread_messages_get_through_by_the_event_loop_that_serves_the_clients() -> None:
    signalr = SignalR()
    signalr.hub("/chat")(Chat)
    chat, loop = signalr.hub_context(Chat), asyncio.get_running_loop()

    def send() -> None:
        with pytest.raises(RuntimeError, match=r"asyncio\.run_coroutine_threadsafe"):
            asyncio.run(chat.clients.all.send("said", "by another loop"))
        asyncio.run_coroutine_threadsafe(chat.clients.all.send("said", "by this one"), loop).result()

    async with TestClient(signalr, "/chat") as client:
        await asyncio.to_thread(send)
        assert await client.next("said") == ["by this one"]


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize(("root_path", "status"), [("", 200), ("/api", 404)])
async def test_a_root_path_that_fastapi_is_told_is_none_that_a_proxy_takes_off(
    request_to: Callable[..., Awaitable[Any]], root_path: str, status: int
) -> None:
    signalr = SignalR()
    signalr.hub("/chat")(Chat)
    app = FastAPI(root_path=root_path)
    app.mount("/signalr", signalr)
    assert (await request_to(app, "POST", "/signalr/chat/negotiate?negotiateVersion=1")).status == status


# FastAPI's dependencies.

Token = Annotated[str, Depends(OAuth2PasswordBearer("token"))]


async def test_a_users_function_finds_the_token_that_fastapis_scheme_does_not_see() -> None:
    class Api(Chat):
        def token(self, token: Token) -> str:
            return token

    signalr = SignalR(user=bearer_token)
    signalr.hub("/api")(Api)
    async with TestClient(signalr, "/api", access_token="of ann") as client:
        assert await client.invoke("whoami") == "of ann"
        with pytest.raises(HubException, match="Failed to invoke 'token' because user is unauthorized"):
            await client.invoke("token")


async def test_hubs_take_the_overrides_of_signalr_and_none_of_fastapis() -> None:
    def get_name() -> str:
        return "real"

    class Api(Hub):
        def name(self, name: Annotated[str, Depends(get_name)]) -> str:
            return name

    signalr, app = SignalR(), FastAPI()
    signalr.hub("/api")(Api)
    app.mount("/signalr", signalr)
    app.dependency_overrides[get_name] = lambda: "of FastAPI"
    async with TestClient(app, "/signalr/api") as client:
        assert await client.invoke("name") == "real"
        signalr.dependency_overrides[get_name] = lambda: "of SignalR"
        assert await client.invoke("name") == "of SignalR"


async def test_the_path_of_a_hub_is_case_sensitive() -> None:
    with pytest.raises(RefusedError) as refused:
        async with TestClient(served(SignalR()), "/signalr/Chat"):
            pass
    assert refused.value.status == 404
