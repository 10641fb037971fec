"""What the chapter of exercise 2 shows, each at its step."""

from playwright.sync_api import Locator, Page

from labkit.author.pictures import Studio

PASSWORD = "correct horse"  # noqa: S105  (of a user that lives as long as the pictures take)

MARK = r"(?<=server )[\w-]{8}\b|(?<=server\\240\\250)[\w-]{8}(?=\\)"
"""The mark of a server, which it draws when it starts: as `tail` has it, and in the bytes of a row."""


def pictures(studio: Studio) -> None:
    """Task 1 on the app as it begins, task 3 on the one with all snippets, and then the database."""
    with studio.running() as (left, right):
        play, other = studio.window(left), studio.window(right)
        studio.picture("two-ports", play, other, mark=other.get_by_role("heading", name="Log in"))
        play.get_by_role("link", name="Register").first.click()
        play.get_by_label("User name").fill("grace")
        play.get_by_label("Password", exact=True).fill(PASSWORD)
        play.get_by_label("Confirm password").fill(PASSWORD)
        play.get_by_role("button", name="Register").click()
        play.get_by_test_id("option").first.wait_for()
        statistics = studio.window(f"{right}/statistics", beside=play)
        live = statistics.get_by_text("Live", exact=True)
        live.wait_for()
        studio.picture("two-instances", play, statistics, mark=live)
        play.get_by_role("button", name="Ada Lovelace").click()
        answered(play)
        studio.picture("deaf", play, statistics, mark=statistics.get_by_text("No results yet."))
    studio.terminal("created", "labkit db create signalr")
    studio.insert()
    with studio.running() as (left, right):
        play = studio.window(left)
        play.get_by_label("User name").fill("grace")
        play.get_by_label("Password", exact=True).fill(PASSWORD)
        play.get_by_role("button", name="Log in").click()
        statistics = studio.window(f"{right}/statistics", beside=play)
        statistics.get_by_text("Live", exact=True).wait_for()
        for choice, counted in (("Z3", "correct-answers"), ("Los Alamos", "incorrect-answers")):
            play.get_by_role("button", name=choice).click()
            answered(play)
            figure = statistics.get_by_test_id(counted)
            figure.filter(has_text="2" if counted == "correct-answers" else "1").wait_for()
            if counted == "correct-answers":
                play.get_by_role("button", name="Next question").click()
        studio.picture("joined", play, statistics, mark=figure)
    studio.terminal("tables", "labkit db tables signalr")
    studio.terminal("rows", "labkit db tables signalr signalr.messages_0", changing=MARK)
    studio.terminal("messages", "labkit db tail signalr", "labkit db tail signalr --once", changing=MARK)


def answered(page: Page) -> Locator:
    """What the card says, once it has turned over."""
    answer = page.get_by_test_id("answer").filter(has_text="correct")
    answer.wait_for()
    return answer
