"""The quiz keeps its promises: who may do what, which question comes next, what the figures mean."""

import importlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

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


class Browser(AsyncClient):
    """What a person does with the pages."""

    async def register(self, name: str, password: str = PASSWORD, confirm: str | None = None) -> Response:
        form = {"name": name, "password": password, "confirm": password if confirm is None else confirm}
        return await self.post("/account/register", data=form)

    async def log_in(self, name: str, password: str = PASSWORD) -> Response:
        return await self.post("/account/login", data={"name": name, "password": password})

    async def question(self) -> dict[str, Any]:
        question: dict[str, Any] = (await self.get("/api/trivia")).json()
        return question

    async def answer(self, question_id: int, option_id: int) -> Response:
        return await self.post("/api/trivia", json={"questionId": question_id, "optionId": option_id})


def load(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the quiz of this folder afresh, with settings of its own."""
    forget()
    monkeypatch.syspath_prepend(str(EXERCISES / folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{(tmp_path / 'quiz.db').as_posix()}")
    monkeypatch.setenv("GEEKQUIZ_SECRET", "a secret")
    monkeypatch.setenv("GEEKQUIZ_COOKIE", "quiz-cookie")
    monkeypatch.setenv("DATABASE_SERVER", "postgresql://nobody@127.0.0.1:9")
    return importlib.import_module("geekquiz.main")


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "geekquiz"]:
        del sys.modules[name]


@pytest.fixture(params=["ex1-realtime/begin"])
async def quiz(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quiz]:
    """A quiz without users and answers."""
    main = load(request.param, tmp_path, monkeypatch)
    async with main.lifespan(main.app):
        quiz = Quiz(main)
        yield quiz
        for client in quiz.clients:
            await client.aclose()
    forget()


# Accounts


@pytest.mark.parametrize("quiz", FOLDERS, indirect=True)
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
    ],
)
async def test_bad_registrations_say_why(quiz: Quiz, name: str, password: str, confirm: str, message: str) -> None:
    answer = await quiz.browser().register(name, password, confirm)

    assert answer.status_code == 400
    assert message in answer.text
    assert await quiz.rows("SELECT * FROM users") == []


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
    ],
    ids=lambda headers: " ".join(headers.values()),
)
async def test_what_other_sites_send_is_refused(quiz: Quiz, path: str, headers: dict[str, str]) -> None:
    ada = await quiz.user("Ada")
    for name in SAME_ORIGIN:
        del ada.headers[name]

    answer = await ada.post(path, headers=headers)

    assert (answer.status_code, answer.text) == (403, "Cross-site request refused.")


@pytest.mark.parametrize("headers", [SAME_ORIGIN, {"Origin": "http://quiz.test"}, {}], ids=str)
async def test_what_the_own_pages_and_programs_send_is_accepted(quiz: Quiz, headers: dict[str, str]) -> None:
    ada = await quiz.user("Ada")
    for name in SAME_ORIGIN:
        del ada.headers[name]

    answer = await ada.post("/api/trivia", json={"questionId": 1, "optionId": 1}, headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("quiz", ["ex1-realtime/end"], indirect=True)
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


@pytest.mark.parametrize("quiz", FOLDERS, indirect=True)
async def test_pages_hold_no_code_and_nothing_from_other_sites(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    pages = [(await ada.get(path)).text for path in ("/", "/statistics", "/account/login", "/account/register")]

    for page in pages:
        assert re.findall(r"<script(?! src=\"/| id=\"statistics\" type=\"application/json\")", page) == []
        assert re.findall(r"\s(?:on\w+|style)=", page) == []
        assert re.findall(r"(?:src|href|action)=\"(?!/[^/]|#)", page) == []


@pytest.mark.parametrize("quiz", ["ex1-realtime/end", "ex2-scaleout/end"], indirect=True)
async def test_the_hub_lets_nobody_in_who_is_not_logged_in(quiz: Quiz) -> None:
    ada = await quiz.user("Ada")
    negotiate = "/signalr/statistics/negotiate?negotiateVersion=1"

    assert (await quiz.browser().post(negotiate)).status_code == 401
    assert (await ada.post(negotiate)).status_code == 200
    assert (await ada.post(negotiate, headers={"Origin": "https://evil.test"})).status_code == 403


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
