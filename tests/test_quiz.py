"""The quiz keeps its promises: who may do what, which question comes next, what the figures mean."""

import asyncio
import importlib
import re
import sqlite3
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asgi_signalr.testing import TestClient
from httpx import URL, ASGITransport, AsyncClient, Response
from itsdangerous import TimestampSigner
from sqlalchemy import event

EXERCISES = Path(__file__).parent.parent / "exercises"
FOLDERS = ["ex1-realtime/begin", "ex1-realtime/end", "ex2-scaleout/begin", "ex2-scaleout/end"]
PASSWORD = "correct horse"
SAME_ORIGIN = {"Origin": "http://quiz.test", "Sec-Fetch-Site": "same-origin"}


class Quiz:
    """The application, and browsers that use it."""

    def __init__(self, main: ModuleType) -> None:
        self.main = main
        self.database = main.database
        self.clients: list[Browser] = []

    def browser(self) -> "Browser":
        transport = ASGITransport(app=self.main.app, raise_app_exceptions=False)
        self.clients.append(Browser(transport=transport, base_url="http://quiz.test", headers=SAME_ORIGIN))
        return self.clients[-1]

    async def user(self, name: str) -> "Browser":
        browser = self.browser()
        assert (await browser.register(name)).status_code == 303
        return browser

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.engine.connect() as connection:
            return [tuple(row) for row in (await connection.exec_driver_sql(sql)).all()]

    async def ask(self, browser: "Browser", question: int) -> None:
        """Let the user be asked a question out of turn."""
        ((user,),) = await self.rows(f"SELECT id FROM users WHERE name = '{browser.name}'")
        async with self.database.engine.begin() as connection:
            await connection.exec_driver_sql(f"INSERT INTO asked (user_id, question_id) VALUES ({user}, {question})")


class Browser(AsyncClient):
    """What a person does with the pages."""

    name = ""

    async def register(self, name: str, password: str = PASSWORD, confirm: str | None = None) -> Response:
        self.name = name
        form = {"name": name, "password": password, "confirm": password if confirm is None else confirm}
        return await self.post("/account/register", data=form)

    async def log_in(self, name: str, password: str = PASSWORD) -> Response:
        return await self.post("/account/login", data={"name": name, "password": password})

    async def question(self) -> dict[str, Any]:
        question: dict[str, Any] = (await self.get("/api/trivia")).json()
        return question

    async def answer(self, question_id: int, option_id: int) -> Response:
        return await self.post("/api/trivia", json={"questionId": question_id, "optionId": option_id})


def load(folder: str, data: Path) -> ModuleType:
    """Import the quiz of this folder afresh, with settings of its own."""
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXERCISES / folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{(data / 'quiz.db').as_posix()}")
        patch.setenv("GEEKQUIZ_SECRET", "a secret")
        patch.setenv("GEEKQUIZ_HOSTS", "quiz.test")
        patch.setenv("GEEKQUIZ_COOKIE", "quiz-cookie")
        patch.setenv("DATABASE_SERVER", f"sqlite:///{data.as_posix()}")  # the smallest that the backplane can use
        return importlib.import_module("geekquiz.main")


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "geekquiz"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every quiz has its database, one after the other."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", params=["ex1-realtime/begin"])
def main(request: pytest.FixtureRequest, data: Path) -> Iterator[ModuleType]:
    """The quiz's modules, imported once: what they keep beside the database is the guesses."""
    yield load(request.param, data)
    forget()


@pytest.fixture
def nothing_kept(main: ModuleType, data: Path) -> None:
    """Neither users nor answers, nor guesses of the tests before."""
    for path in data.glob("quiz.db*"):
        path.unlink()
    sys.modules["geekquiz.users"].tries.clear()


@pytest.fixture
async def quiz(main: ModuleType, nothing_kept: None) -> AsyncIterator[Quiz]:
    """A quiz without users and answers."""
    async with main.lifespan(main.app):
        quiz = Quiz(main)
        yield quiz
        for client in quiz.clients:
            await client.aclose()


# Accounts


@pytest.mark.parametrize("main", FOLDERS, indirect=True)
async def test_who_registers_is_greeted_by_the_first_question(quiz: Quiz) -> None:
    ada = await quiz.user("Ada Lovelace")

    page = await ada.get("/")

    assert page.status_code == 200
    assert "Hello Ada Lovelace!" in page.text
    assert (await ada.question())["title"] == quiz.database.QUESTIONS[0][0]


@pytest.mark.parametrize("path", ["/", "/statistics"])
async def test_pages_send_strangers_to_log_in(quiz: Quiz, path: str) -> None:
    answer = await quiz.browser().get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/login")


async def test_the_api_refuses_strangers(quiz: Quiz) -> None:
    stranger = quiz.browser()

    assert (await stranger.get("/api/trivia")).status_code == 401
    assert (await stranger.answer(1, 1)).status_code == 401
    assert await quiz.rows("SELECT * FROM answers") == []


async def test_health_needs_no_log_in(quiz: Quiz) -> None:
    answer = await quiz.browser().get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize(
    ("name", "password", "confirm", "message"),
    [
        ("A", PASSWORD, PASSWORD, "A user name has 2 to 40 printable characters."),
        ("x" * 41, PASSWORD, PASSWORD, "A user name has 2 to 40 printable characters."),
        ("Ada\u202elove", PASSWORD, PASSWORD, "A user name has 2 to 40 printable characters."),
        ("Ada", "short", "short", "A password has at least 8 characters."),
        ("Ada", PASSWORD, "correct house", "The two passwords differ."),
        ("Ada", "Password", "Password", "This password is easy to guess."),
        ("Ada", "aaaabbbb", "aaaabbbb", "This password is easy to guess."),
        ("Ada", "Starwars", "Starwars", "This password is easy to guess."),
        ("Ada", "GeekQuiz", "GeekQuiz", "This password is easy to guess."),
        ("Lovelace", "lovelace", "lovelace", "This password is easy to guess."),
        ("\u0410da", PASSWORD, PASSWORD, "A user name has letters of one alphabet, for others look like them."),
    ],
)
async def test_bad_registrations_say_why(quiz: Quiz, name: str, password: str, confirm: str, message: str) -> None:
    answer = await quiz.browser().register(name, password, confirm)

    assert answer.status_code == 400
    assert message in answer.text
    assert await quiz.rows("SELECT * FROM users") == []


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [("A", PASSWORD, "name"), ("Ada", PASSWORD, "name"), ("Bob", "short", "password"), ("Bob", "a typo", "password")],
)
async def test_the_focus_is_where_a_registration_is_to_be_mended(
    quiz: Quiz, name: str, password: str, field: str
) -> None:
    await quiz.user("Ada")

    answer = await quiz.browser().register(name, password, PASSWORD)

    fields = re.findall(r"<input[^>]+>", answer.text)
    assert [re.findall(r'id="(\w+)"', each)[0] for each in fields if "autofocus" in each] == [field]
    assert [re.findall(r'id="(\w+)"', each)[0] for each in fields if 'aria-invalid="true"' in each] == [field]


@pytest.mark.parametrize("name", ["Ada", "ADA", "  ada ", "\uff21\uff44\uff41"])
async def test_a_name_is_taken_however_it_is_written(quiz: Quiz, name: str) -> None:
    await quiz.user("Ada")

    answer = await quiz.browser().register(name)

    assert answer.status_code == 400
    assert "is taken" in answer.text


async def test_a_name_cannot_carry_markup_into_the_page(quiz: Quiz) -> None:
    mallory = await quiz.user("<b>Mallory</b>")

    assert "<b>Mallory" not in (await mallory.get("/")).text


async def test_passwords_are_kept_as_argon2id(quiz: Quiz) -> None:
    await quiz.user("Ada")

    ((password_hash,),) = await quiz.rows("SELECT password_hash FROM users")

    assert password_hash.startswith("$argon2id$")


async def test_log_off_and_log_in_again(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")

    assert (await ada.post("/account/logoff")).headers["location"] == "/account/login"
    assert (await ada.get("/")).status_code == 303
    assert (await ada.log_in("ada")).headers["location"] == "/"
    assert "Hello Ada!" in (await ada.get("/")).text


async def test_log_in_does_not_tell_whether_the_name_or_the_password_is_wrong(quiz: Quiz) -> None:
    await quiz.user("Ada")
    stranger = quiz.browser()

    wrong_password = await stranger.log_in("Ada", "wrong horse")
    wrong_name = await stranger.log_in("Bob", "wrong horse")

    assert wrong_password.status_code == wrong_name.status_code == 400
    assert wrong_password.text.replace('value="Ada"', 'value="Bob"') == wrong_name.text


async def test_log_in_works_as_hard_for_a_wrong_name_as_for_a_wrong_password(
    quiz: Quiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quiz.user("Ada")
    work = []
    users = sys.modules["geekquiz.users"]
    real = users.passwords

    class Recorded:
        def hash(self, password: str) -> str:
            work.append("once")
            return str(real.hash(password))

        def verify(self, password_hash: str, password: str) -> bool:
            work.append("once")
            return bool(real.verify(password_hash, password))

    monkeypatch.setattr(users, "passwords", Recorded())

    await quiz.browser().log_in("Ada", "wrong horse")
    await quiz.browser().log_in("Bob", "wrong horse")

    assert work == ["once", "once"]


async def test_a_new_quiz_has_no_users(quiz: Quiz) -> None:
    assert await quiz.rows("SELECT * FROM users") == []


async def test_the_most_common_passwords_are_refused(quiz: Quiz) -> None:
    common = sys.modules["geekquiz.account"].COMMON

    assert len(set(common)) == 3000
    assert {len(password) >= 8 for password in common} == {True}
    assert (await quiz.browser().register("Ada", common[-1])).status_code == 400


@pytest.mark.parametrize(
    "password", ["onlysmallletters", "314159265358", "  two  spaces  ", "Äpfel & Birnen ☂", "x" * 190 + "abcde"]
)
async def test_a_password_may_be_of_any_kind_and_is_taken_as_it_is(quiz: Quiz, password: str) -> None:
    ada = quiz.browser()
    assert (await ada.register("Ada", password)).status_code == 303

    for other in {password.strip(), password.swapcase(), password[:-1]} - {password}:
        assert (await ada.log_in("Ada", other)).status_code == 400
    assert (await ada.log_in("Ada", password)).status_code == 303


async def test_password_fields_hide_what_is_typed_and_let_managers_fill_them(quiz: Quiz) -> None:
    stranger = quiz.browser()
    fields = {
        path: re.findall(r'<input[^>]*name="(?:password|confirm)"[^>]*>', (await stranger.get(path)).text)
        for path in ("/account/login", "/account/register")
    }

    assert [len(found) for found in fields.values()] == [1, 2]
    for path, purpose in (("/account/login", "current-password"), ("/account/register", "new-password")):
        for field in fields[path]:
            assert 'type="password"' in field
            assert f'autocomplete="{purpose}"' in field
            assert "readonly" not in field


async def test_a_name_may_be_what_sql_would_read(quiz: Quiz) -> None:
    name = "'); DROP TABLE users; --"
    ada = await quiz.user(name)

    assert (await ada.log_in(name)).status_code == 303
    assert (await ada.log_in("' OR 1=1 --")).status_code == 400
    assert await quiz.rows("SELECT name FROM users") == [(name,)]


# Sessions and other sites


async def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(quiz: Quiz) -> None:
    answer = await quiz.browser().register("Ada")

    name, rest = answer.headers["set-cookie"].split("=", 1)

    assert name == "quiz-cookie"
    assert {part.strip().lower() for part in rest.split(";")[1:]} == {
        "path=/",
        "max-age=1209600",
        "httponly",
        "samesite=lax",
    }


async def test_a_forged_session_is_nobody(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    value = ada.cookies["quiz-cookie"]

    ada.cookies.clear()
    ada.cookies.set("quiz-cookie", ("A" if value[0] != "A" else "B") + value[1:])

    assert (await ada.get("/")).status_code == 303


async def test_a_session_whose_user_is_gone_is_nobody(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    async with quiz.database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM users")

    assert (await ada.get("/")).status_code == 303


@pytest.mark.parametrize("path", ["/api/trivia", "/account/login", "/account/register", "/account/logoff"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://quiz.test:8001"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "http://quiz.test:8001"},
        {"Origin": "null"},
        {"Origin": "ftp://quiz.test"},
        {"Origin": "http://user@quiz.test"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
async def test_what_other_sites_send_is_refused(quiz: Quiz, path: str, headers: dict[str, str]) -> None:
    ada = await quiz.user("Ada")
    for name in SAME_ORIGIN:
        del ada.headers[name]

    answer = await ada.post(path, headers=headers)

    assert answer.status_code == 403
    if path.startswith("/api/"):
        assert answer.json() == {"detail": "Cross-site request refused."}
    else:
        assert '<html lang="en">' in answer.text
        assert "<h1>Cross-site request refused.</h1>" in answer.text


@pytest.mark.parametrize("headers", [SAME_ORIGIN, {"Origin": "http://quiz.test"}, {}], ids=str)
async def test_what_the_own_pages_and_programs_send_is_accepted(quiz: Quiz, headers: dict[str, str]) -> None:
    ada = await quiz.user("Ada")
    await ada.question()
    for name in SAME_ORIGIN:
        del ada.headers[name]

    answer = await ada.post("/api/trivia", json={"questionId": 1, "optionId": 1}, headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("main", ["ex1-realtime/end"], indirect=True)
@pytest.mark.parametrize(
    "path", ["/", "/statistics", "/account/login", "/api/trivia", "/static/site.css", "/nowhere", "/signalr/signalr.js"]
)
async def test_every_answer_has_the_security_headers(quiz: Quiz, path: str) -> None:
    ada = await quiz.user("Ada")

    headers = (await ada.get(path)).headers

    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "cache-control" in headers


@pytest.mark.parametrize("main", FOLDERS, indirect=True)
async def test_pages_hold_no_code_and_nothing_from_other_sites(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    pages = [(await ada.get(path)).text for path in ("/", "/statistics", "/account/login", "/account/register")]

    for page in pages:
        assert re.findall(r"<script(?! src=\"/| id=\"statistics\" type=\"application/json\")", page) == []
        assert re.findall(r"\s(?:on\w+|style)=", page) == []
        assert re.findall(r"(?:src|href|action)=\"(?!/[^/]|#)", page) == []


@pytest.mark.parametrize("main", ["ex1-realtime/end", "ex2-scaleout/end"], indirect=True)
async def test_the_hub_lets_nobody_in_who_is_not_logged_in(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    negotiate = "/signalr/statistics/negotiate?negotiateVersion=1"

    assert (await quiz.browser().post(negotiate)).status_code == 401
    assert (await ada.post(negotiate)).status_code == 200
    assert (await ada.post(negotiate, headers={"Origin": "https://evil.test"})).status_code == 403


@pytest.mark.parametrize("main", ["ex2-scaleout/end"], indirect=True)
async def test_an_open_page_is_told_to_come_back_when_the_backplane_was_restored(quiz: Quiz, data: Path) -> None:
    def restore() -> None:
        with closing(sqlite3.connect(data / "signalr", timeout=20)) as backplane, backplane:
            backplane.execute("UPDATE SignalR_Messages_0_Id SET Epoch = ?", (uuid.uuid4().hex,))

    ada = await quiz.user("Ada")
    headers = {"Host": "quiz.test", "Cookie": f"quiz-cookie={ada.cookies['quiz-cookie']}"}
    async with TestClient(quiz.main.app, "/signalr/statistics", headers=headers) as page:
        await asyncio.to_thread(restore)  # the quiz may have the lock, and needs this thread to let it go
        assert (await page.closed()).allow_reconnect


async def test_logging_off_ends_every_session_of_the_user(quiz: Quiz) -> None:
    ada, elsewhere, bob = await quiz.user("Ada"), quiz.browser(), await quiz.user("Bob")
    await elsewhere.log_in("Ada")
    before = elsewhere.cookies["quiz-cookie"]

    await ada.post("/account/logoff")

    assert (await elsewhere.get("/")).status_code == 303
    assert (await bob.get("/")).status_code == 200
    await elsewhere.log_in("Ada")
    assert (await elsewhere.get("/")).status_code == 200
    elsewhere.cookies.clear()
    elsewhere.cookies.set("quiz-cookie", before)
    assert (await elsewhere.get("/")).status_code == 303


async def test_a_password_can_be_guessed_twenty_times_at_most_even_at_once(
    quiz: Quiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["geekquiz.users"], "time", lambda: 900.0)
    await quiz.user("Ada")
    stranger = quiz.browser()

    answers = await asyncio.gather(*(stranger.log_in("Ada", f"guess number {number}") for number in range(30)))

    assert sorted(answer.status_code for answer in answers) == [400] * 20 + [429] * 10
    assert (await stranger.log_in("ADA")).status_code == 429
    assert (await stranger.log_in("Bob", "a guess")).status_code == 400
    monkeypatch.setattr(sys.modules["geekquiz.users"], "time", lambda: 1800.0)
    assert (await stranger.log_in("Ada")).status_code == 303


@pytest.mark.parametrize("path", ["/", "/account/login/", "/api/trivia", "/healthz"])
@pytest.mark.parametrize("host", ["evil.example", "quiz.test.evil.example", "evil.example:8000", ""])
async def test_a_host_that_is_not_the_quiz_is_refused(quiz: Quiz, path: str, host: str) -> None:
    answer = await quiz.browser().get(path, headers={"Host": host})

    assert (answer.status_code, answer.headers.get("location")) == (400, None)


@pytest.mark.parametrize("path", ["/account/login", "/api/trivia"])
async def test_a_long_body_is_refused_before_it_is_read(quiz: Quiz, path: str) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            read.append(1)
            yield b"x" * 1024

    browser = quiz.browser()

    announced = await browser.post(path, content=body(), headers={"Content-Length": str(100 * 1024)})
    unannounced = await browser.post(path, content=body())

    assert (announced.status_code, unannounced.status_code, read) == (413, 413, [])


async def test_an_answer_counts_once_each_time_its_question_was_asked(quiz: Quiz) -> None:
    ada, bob = await quiz.user("Ada"), await quiz.user("Bob")
    await bob.question()

    assert (await ada.answer(1, 1)).status_code == 409
    await ada.question()
    answers = await asyncio.gather(*(ada.answer(1, 1) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert (await ada.answer(2, 5)).status_code == 409
    assert await quiz.rows("SELECT user_id, option_id FROM answers") == [(1, 1)]


async def test_a_locked_database_is_told_in_json_by_the_api(quiz: Quiz, data: Path) -> None:
    ada = await quiz.user("Ada")
    question = await ada.question()
    await quiz.database.engine.dispose()
    engine = quiz.database.engine.sync_engine

    def be_impatient(connection: Any, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50").close()

    event.listen(engine, "connect", be_impatient)
    try:
        with closing(sqlite3.connect(data / "quiz.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = await ada.answer(question["id"], question["options"][0]["id"])
    finally:
        event.remove(engine, "connect", be_impatient)
        await quiz.database.engine.dispose()

    assert (answer.status_code, answer.json()) == (503, {"detail": "The database is busy. Try again in a moment."})


async def test_answers_that_wait_for_the_database_leave_room_for_who_reads(quiz: Quiz, data: Path) -> None:
    ada = await quiz.user("Ada")
    question = await ada.question()
    pool, all_wait = quiz.database.engine.pool, asyncio.Event()

    def count(*_: object) -> None:
        if pool.checkedout() == 30:
            all_wait.set()

    event.listen(pool, "checkout", count)
    with closing(sqlite3.connect(data / "quiz.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [asyncio.create_task(ada.answer(question["id"], question["options"][0]["id"])) for _ in range(30)]
        await all_wait.wait()
        page = await ada.get("/statistics")
        waiting = sum(not answer.done() for answer in answers)

    assert (page.status_code, waiting) == (200, 30)
    assert sorted([answer.status_code for answer in await asyncio.gather(*answers)]) == [200, *[409] * 29]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
async def test_the_files_are_for_nobody_else(quiz: Quiz, data: Path) -> None:
    await quiz.user("Ada")

    assert modes(data) == {"quiz.db": 0o600, "quiz.db-shm": 0o600, "quiz.db-wal": 0o600}


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.glob("quiz.db*")}


async def test_who_logs_in_leaves_the_session_before(quiz: Quiz) -> None:
    browser = await quiz.user("Ada")
    await quiz.user("Bob")
    before = browser.cookies["quiz-cookie"]

    await browser.log_in("Bob")

    assert browser.cookies["quiz-cookie"] != before
    assert "Hello Bob!" in (await browser.get("/")).text


async def test_a_session_is_over_after_two_weeks(quiz: Quiz, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await quiz.user("Ada")
    two_weeks = 14 * 24 * 60 * 60
    began = TimestampSigner("").get_timestamp()

    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: began + two_weeks - 60)
    assert (await ada.get("/healthz")).status_code == 200
    assert (await ada.get("/statistics")).status_code == 200
    ada.cookies.set("quiz-cookie", ada.cookies["quiz-cookie"])
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: began + 2 * two_weeks)
    assert (await ada.get("/statistics")).status_code == 303


@pytest.mark.parametrize("path", ["/", "/statistics", "/api/trivia", "/static/play.js", "/healthz"])
async def test_no_answer_is_for_pages_of_other_sites(quiz: Quiz, path: str) -> None:
    ada = await quiz.user("Ada")
    ask = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}

    answers = [await ada.get(path, headers=ask), await ada.options(path, headers=ask)]

    for answer in answers:
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("main", FOLDERS, indirect=True)
async def test_what_changes_something_is_posted(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    pages = [(await ada.get(path)).text for path in ("/", "/statistics", "/account/login", "/account/register")]

    assert {form for page in pages for form in re.findall(r"<form[^>]*>", page) if 'method="post"' not in form} == set()
    assert (await ada.get("/account/logoff")).status_code == 405
    assert (await ada.get("/account/register", params={"name": "Bob", "password": PASSWORD})).status_code == 200
    assert (await ada.get("/account/login", params={"name": "Ada", "password": PASSWORD})).status_code == 200
    assert await quiz.rows("SELECT name FROM users") == [("Ada",)]
    assert (await ada.get("/")).status_code == 200


@pytest.mark.parametrize("main", ["ex1-realtime/end"], indirect=True)
async def test_every_answer_says_its_type_and_encoding(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")

    types = {
        path: (await ada.get(path)).headers["content-type"]
        for path in ("/", "/nowhere", "/healthz", "/static/site.css", "/static/play.js", "/api/trivia", "/api/nowhere")
    }

    assert types == {
        "/": "text/html; charset=utf-8",
        "/nowhere": "text/html; charset=utf-8",
        "/healthz": "text/plain; charset=utf-8",
        "/static/site.css": "text/css; charset=utf-8",
        "/static/play.js": "text/javascript; charset=utf-8",
        "/api/trivia": "application/json",  # which is UTF-8 by its standard
        "/api/nowhere": "application/json",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/static/../main.py",
        "/static/%2e%2e/main.py",
        "/static/..%2fsettings.py",
        "/static//etc/passwd",
        "/static/vendor/%00",
        "/.git/config",
        "/quiz.db",
        "/common-passwords.txt",
        "/static/",
    ],
)
async def test_files_outside_of_static_are_not_served(quiz: Quiz, path: str) -> None:
    ada = await quiz.user("Ada")

    assert (await ada.request("GET", URL(f"http://quiz.test{path}"))).status_code == 404


@pytest.mark.parametrize("folder", FOLDERS)
def test_scripts_write_text_and_run_none(folder: str) -> None:
    scripts = {
        path.name: path.read_text(encoding="utf-8") for path in (EXERCISES / folder).glob("geekquiz/static/*.js")
    }

    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|localStorage"
    assert {name: re.findall(dangerous, text) for name, text in scripts.items()} == {"play.js": [], "statistics.js": []}


# Questions


async def test_a_question_does_not_tell_its_answer(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")

    for _ in quiz.database.QUESTIONS:
        question = await ada.question()
        assert set(question) == {"id", "title", "options"}
        assert [set(option) for option in question["options"]] == [{"id", "title"}] * 4
        await ada.answer(question["id"], question["options"][0]["id"])


async def test_an_answer_is_right_or_wrong_and_stored(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    title, _, right = quiz.database.QUESTIONS[0]
    question = await ada.question()
    assert question["title"] == title

    for _ in question["options"][1:]:
        await ada.question()  # in another tab
    answers = {
        option["title"]: (await ada.answer(question["id"], option["id"])).json() for option in question["options"]
    }

    assert answers == {option["title"]: option["title"] == right for option in question["options"]}
    assert await quiz.rows("SELECT user_id, option_id FROM answers ORDER BY id") == [
        (1, option["id"]) for option in question["options"]
    ]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "not JSON",
        "{}",
        '{"questionId": 1}',
        '{"questionId": 1, "optionId": null}',
        '{"questionId": 1, "optionId": "1"}',
        '{"questionId": 1, "optionId": true}',
        '{"questionId": 1, "optionId": 1.5}',
        '{"questionId": 1, "optionId": 0}',
        '{"questionId": 1, "optionId": 5}',
        '{"questionId": 9999, "optionId": 1}',
        '{"questionId": 1, "optionId": 100000000000000000000000}',
    ],
)
async def test_a_bad_answer_is_refused_and_not_stored(quiz: Quiz, body: str) -> None:
    ada = await quiz.user("Ada")

    answer = await ada.post("/api/trivia", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert set(answer.json()) == {"detail"}
    assert await quiz.rows("SELECT * FROM answers") == []


async def answer_some(browser: Browser, quiz: Quiz, *questions: int) -> None:
    for question in questions:
        ((option,),) = await quiz.rows(f"SELECT min(id) FROM options WHERE question_id = {question}")
        await quiz.ask(browser, question)
        assert (await browser.answer(question, option)).status_code == 200


@pytest.mark.parametrize(
    ("answered", "following"),
    [
        ([], 1),
        ([1], 2),
        ([1, 2, 3], 4),
        ([5], 6),
        ([3, 1], 2),  # as often: the later one counts
        ([1, 1, 2], 2),  # more often counts before later
        ([-1], 1),  # after the last comes the first
        ([-1, 1], 2),
    ],
)
async def test_next_is_the_question_after_the_one_answered_most_often_and_latest(
    quiz: Quiz, answered: list[int], following: int
) -> None:
    ada = await quiz.user("Ada")
    last = len(quiz.database.QUESTIONS)

    await answer_some(ada, quiz, *(last if number == -1 else number for number in answered))

    assert (await ada.question())["id"] == following


async def test_everybody_gets_every_question_in_turn(quiz: Quiz) -> None:
    ada, bob = await quiz.user("Ada"), await quiz.user("Bob")
    await answer_some(bob, quiz, 7, 7, 7)
    asked = []

    for _ in range(2 * len(quiz.database.QUESTIONS)):
        question = await ada.question()
        asked.append(question["id"])
        await ada.answer(question["id"], question["options"][1]["id"])

    assert asked == 2 * list(range(1, len(quiz.database.QUESTIONS) + 1))


async def test_questions_are_many_and_have_four_options_with_one_right(quiz: Quiz) -> None:
    questions = quiz.database.QUESTIONS

    assert len(questions) >= 24
    assert len({title for title, _, _ in questions}) == len(questions)
    for title, options, right in questions:
        assert title.endswith("?") and len(title) <= 200, title
        assert len(options) == len(set(options)) == 4, title
        assert right in options, title
    assert await quiz.rows("SELECT sum(is_correct), count(*) FROM options GROUP BY question_id") == [(1, 4)] * len(
        questions
    )


async def test_right_answers_stand_everywhere(quiz: Quiz) -> None:
    places = [options.index(right) for _, options, right in quiz.database.QUESTIONS]

    assert all(places.count(place) >= len(places) // 8 for place in range(4))


# Statistics


async def statistics(quiz: Quiz) -> dict[str, float]:
    async with quiz.database.sessions() as session:
        figures: dict[str, float] = await sys.modules["geekquiz.statistics"].StatisticsService(session).generate()
        return figures


async def test_statistics_without_answers_are_zero_and_the_page_says_so(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")

    assert set((await statistics(quiz)).values()) == {0}
    assert "No results yet." in (await ada.get("/statistics")).text


async def test_averages_are_per_user_who_has_answered(quiz: Quiz) -> None:
    ada, bob = await quiz.user("Ada"), await quiz.user("Bob")
    await quiz.user("Eve, who only watches")
    right = dict(await quiz.rows("SELECT question_id, id FROM options WHERE is_correct"))
    wrong = dict(await quiz.rows("SELECT question_id, id FROM options WHERE NOT is_correct"))

    for browser, question, options in [
        (ada, 1, right),
        (ada, 2, right),
        (ada, 3, wrong),
        (bob, 1, right),
        (bob, 1, wrong),
    ]:
        await quiz.ask(browser, question)
        await browser.answer(question, options[question])

    assert await statistics(quiz) == {
        "correctAnswers": 3,
        "incorrectAnswers": 2,
        "totalAnswers": 5,
        "correctAnswersAverage": 1.5,
        "incorrectAnswersAverage": 1.0,
        "totalAnswersAverage": 2.5,
    }
    page = (await ada.get("/statistics")).text
    assert 'Correct answers: <strong id="correct">3</strong>' in page
    assert 'Incorrect answers: <strong id="incorrect">2</strong>' in page


# Errors


async def test_an_unknown_page_has_a_way_back(quiz: Quiz) -> None:
    answer = await (await quiz.user("Ada")).get("/nowhere")

    assert answer.status_code == 404
    assert '<a href="/">Back to the quiz</a>' in answer.text
