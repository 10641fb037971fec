"""The examples run as the README says: each served by a uvicorn of its own, and used by the official client."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.testing import RefusedError, TestClient
from playwright.async_api import async_playwright

from labkit.browser import launch_options

EXAMPLES = Path(__file__).parent.parent / "examples"
CHATS = sorted(path.stem for path in EXAMPLES.glob("chat_*.py"))


def url_of(process: subprocess.Popen[str]) -> str:
    """Wait until a server says where it listens."""
    seen = []
    assert process.stderr is not None
    for line in process.stderr:
        seen.append(line)
        if "Uvicorn running on" in line:
            return line.split("running on ")[1].split()[0]
    raise AssertionError("".join(seen))


@pytest.fixture(
    scope="module", params=["", pytest.param("/api", marks=pytest.mark.slow)], ids=["alone", "behind a prefix"]
)
def urls(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Every chat, served as the README says; they start at the same time. What Django warns of is an error."""
    python = [sys.executable, "-W", "error:StreamingHttpResponse"]
    servers = {
        name: subprocess.Popen(
            [*python, "-m", "uvicorn", f"{name}:app", "--port", "0", "--root-path", request.param],
            cwd=EXAMPLES,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            encoding="utf-8",
        )
        for name in CHATS
    }
    try:
        yield {name: url_of(server) for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.terminate()
            server.communicate(timeout=10)


def test_there_is_a_chat_for_each_framework() -> None:
    assert CHATS == ["chat_django", "chat_fastapi", "chat_plain", "chat_starlette"]


@pytest.mark.parametrize("name", [pytest.param("chat_django", marks=pytest.mark.slow), *CHATS[1:]])
async def test_the_official_client_chats(
    name: str, urls: dict[str, str], run_in_node: Callable[..., Awaitable[list[Any]]]
) -> None:
    script = """
        const [ann, bob] = [await open("/signalr/chat"), await open("/signalr/chat")];
        const all = [heard(ann, "said"), heard(bob, "said")];
        await ann.send("say", "hello");
        say(await Promise.all(all.map((next) => next())));
        await Promise.all([ann.stop(), bob.stop()]);
        const page = await fetch(url + "/");
        say([page.status, page.headers.get("content-type").split(";")[0]]);
        say((await fetch(url + (await page.text()).match(/<script src="(.*?)">/)[1])).status);
    """
    assert await run_in_node(script, urls[name]) == [[["hello"], ["hello"]], [200, "text/html"], 200]


@pytest.mark.parametrize("urls", [""], ids=["alone"], indirect=True)
async def test_two_windows_chat_in_a_browser(urls: dict[str, str]) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        pages = [await browser.new_page() for _ in range(2)]
        for page in pages:
            await page.goto(urls["chat_fastapi"])
            await page.wait_for_function("chat.state == 'Connected'")
        await pages[0].get_by_label("Say something").fill("hello")
        await pages[0].get_by_label("Say something").press("Enter")
        for page in pages:
            await page.get_by_text("hello").wait_for()
            assert await page.get_by_role("listitem").all_text_contents() == ["hello"]
        await browser.close()


# A Django project.

USES_THE_PROJECT = """
import asyncio, json

from mysite.asgi import application

import httpx
from asgi_signalr.testing import RefusedError, TestClient
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.http import HttpRequest

call_command("migrate", verbosity=0)
request = HttpRequest()
request.session = SessionStore()
login(request, User.objects.create_user("ann"))
request.session.save()
cookie = f"{settings.SESSION_COOKIE_NAME}={request.session.session_key}"


async def main():
    said = []
    asked = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost")
    async with asked, TestClient(application, "/signalr/chat", headers={"Cookie": cookie}) as ann:
        await ann.send("say", "hello")
        said += [await ann.next("said"), await ann.invoke("names")]
        for path in ("/announce", "/announce-too"):
            said += [(await asked.get(path)).status_code, await ann.next("said")]
    try:
        async with TestClient(application, "/signalr/chat"):
            pass
    except RefusedError as refused:
        said.append(refused.status)
    print(json.dumps(said))


asyncio.run(main())
"""


@pytest.mark.slow
def test_a_django_project_has_hubs_beside_it_and_its_views_send_to_them(tmp_path: Path) -> None:
    """The files that docs/django.md shows, laid over what `django-admin startproject` makes."""

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    run("-m", "django", "startproject", "mysite", ".")
    shutil.copytree(EXAMPLES / "django_project", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "mysite" / "urls.py").open("a", encoding="utf-8") as urls:
        urls.write("from chat import views\n")
        urls.write('urlpatterns += [path("announce", views.announce), path("announce-too", views.announce_too)]\n')
    hello = ["server", "hello"]
    assert json.loads(run("-c", USES_THE_PROJECT)) == [["ann", "hello"], ["ann"], 204, hello, 204, hello, 401]


# Django's users.


@pytest.fixture
async def session_of_ann(tmp_path: Path) -> AsyncIterator[str]:
    """A Django with one user, who has signed in; gives the key of the session."""
    django = pytest.importorskip("django")
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "django.db"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        SECRET_KEY="of this test",
    )
    django.setup()
    from asgiref.sync import sync_to_async
    from django.contrib.auth import alogin
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from django.db import connections
    from django.http import HttpRequest

    await sync_to_async(call_command)("migrate", verbosity=0)
    request = HttpRequest()
    request.session = SessionStore()
    await alogin(request, await User.objects.acreate_user("ann"))
    await request.session.asave()
    yield str(request.session.session_key)
    await sync_to_async(connections.close_all)()


async def test_a_hub_knows_who_has_signed_in_to_django_and_leaves_no_database_connection_open(
    session_of_ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES / "django_project")
    from asgiref.sync import sync_to_async
    from chat.filters import AsRequests
    from chat.users import django_user
    from django.contrib.auth.models import User
    from django.db import connection

    @sync_to_async
    def is_open() -> bool:
        return connection.connection is not None

    class Private(Hub):
        def whoami(self) -> tuple[str, str | None]:
            return str(self.context.user), self.context.user_identifier

        async def names(self) -> tuple[list[str], bool]:
            return [user.username async for user in User.objects.all()], await is_open()

    signalr = SignalR(user=django_user, filters=[AsRequests()])
    signalr.hub("/private", authorize=True)(Private)
    for skip_negotiation in (False, True):
        options: dict[str, Any] = {"skip_negotiation": skip_negotiation}
        cookie = {"Cookie": f"sessionid={session_of_ann}"}
        async with TestClient(signalr, "/private", headers=cookie, **options) as client:
            assert await client.invoke("whoami") == ["ann", "1"]
            assert not await is_open()  # what found the user was a request to Django, and so is each call
            assert await client.invoke("names") == [["ann"], True]
            assert not await is_open()
        for headers in ({}, {"Cookie": "sessionid=guessed"}):
            with pytest.raises(RefusedError) as refused:
                async with TestClient(signalr, "/private", headers=headers, **options):
                    pass
            assert refused.value.status == 401
