"""What the chapter of exercise 1 shows, each at its step."""

from playwright.sync_api import Locator, Page

from labkit.author.pictures import Studio

PASSWORD = "correct horse"  # noqa: S105  (of a user that lives as long as the pictures take)


def pictures(studio: Studio) -> None:
    """Task 1 on the app as it begins, task 3 on the one with all snippets."""
    with studio.running() as (url,):
        play = studio.window(url)
        studio.picture("log-in", play, mark=play.get_by_role("link", name="Register").first)
        register(studio, play)
        studio.picture("first-question", play, mark=play.get_by_role("group"))
        statistics = studio.window(f"{url}/statistics", beside=play)
        studio.picture("side-by-side", play, statistics, mark=statistics.get_by_text("No results yet."))
        right = play.get_by_role("button", name="Ada Lovelace")
        right.hover()
        studio.picture("answering", play, mark=right)
        right.click()
        answer = answered(play)
        studio.picture("answered", play, mark=answer)
        statistics.reload()
        studio.picture("refreshed", statistics, mark=statistics.get_by_test_id("correct-answers"))
    studio.insert()
    with studio.running() as (url,):
        play = studio.window(url)
        log_in(play)
        statistics = studio.window(f"{url}/statistics", beside=play)
        live = statistics.get_by_text("Live", exact=True)
        live.wait_for()
        studio.picture("live", play, statistics, mark=live)
        play.get_by_role("button", name="Z1").click()
        answered(play)
        figure = statistics.get_by_test_id("incorrect-answers")
        figure.filter(has_text="1").wait_for()
        studio.picture("live-answered", play, statistics, mark=figure)
    studio.terminal("verified", "labkit verify ex1")


def register(studio: Studio, page: Page) -> None:
    """Make an account; the first question follows."""
    page.get_by_role("link", name="Register").first.click()
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Confirm password").fill(PASSWORD)
    button = page.get_by_role("button", name="Register")
    studio.picture("register", page, mark=button)
    button.click()
    page.get_by_test_id("option").first.wait_for()


def log_in(page: Page) -> None:
    """Log in as the user of task 1."""
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_test_id("option").first.wait_for()


def answered(page: Page) -> Locator:
    """What the card says, once it has turned over."""
    answer = page.get_by_test_id("answer").filter(has_text="correct")
    answer.wait_for()
    return answer
