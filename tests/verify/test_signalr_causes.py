"""What the lab itself knows of causes: the two sides of its hub, read from the end with one mistake in it."""

import sys
from pathlib import Path

import pytest

from labkit import workspace
from labkit.lab import Exercise, find_lab
from labkit.verify.causes import Facts
from labkit.verify.causes.finding import ScriptError, Seen, Side
from labkit.verify.report import Check

LAB = find_lab()
EX1, EX2 = LAB.exercises
sys.path.append(str(EX1.folder.parent))

import signalr_causes  # noqa: E402  (beside the exercises, where the checks find it)

HUB, SERVICE = "geekquiz/hubs/statistics.py", "geekquiz/statistics.py"
TRIVIA, STARTUP = "geekquiz/trivia.py", "geekquiz/startup.py"
SCRIPT, PAGE = "geekquiz/static/statistics.js", "geekquiz/templates/statistics.html"
CALL = "    await StatisticsService(session).notify_updates()\n"
COMMIT = "    await session.commit()\n"


def cause(
    folder: Path,
    exercise: Exercise,
    *edits: tuple[str, str, str],
    missed: str = "",
    side: Side | None = None,
    check: str = "ex1.3/x",
) -> tuple[str, str, str]:
    """The cause's first line, the line of code that it is at (or the file), and the advice."""
    workspace.copy_app(exercise.end, folder)
    for path, old, new in edits:
        text = (folder / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old}"
        (folder / path).write_text(text.replace(old, new), encoding="utf-8")
    texts = {name: snippet.text for name, snippet in exercise.snippets.items()}
    errors = [ScriptError("", "ReferenceError", f"{missed} is not defined")] if missed else []
    facts = Facts(folder, exercise.begin, texts, seen=[Seen(errors)], side=side)
    found = signalr_causes.pytest_labkit_cause(facts, Check(check, "x", check.partition("/")[0], 60))
    if found is None:
        return "", "", ""
    place = found.place
    lines = (folder / place.path).read_text(encoding="utf-8").split("\n") if place else []
    line = lines[place.line - 1] if place and place.line > 1 else str(place)
    return found.cause.split("\n")[0], line.strip(), found.next or ""


def test_the_end_has_no_such_cause(tmp_path: Path) -> None:
    assert cause(tmp_path / "1", EX1) == ("", "", "")
    nested = f"    async def tell() -> None:\n    {CALL}\n    await tell()\n"
    assert cause(tmp_path / "nested", EX1, (TRIVIA, CALL, nested)) == ("", "", "")
    assert cause(tmp_path / "2", EX2) == ("", "", "")


@pytest.mark.parametrize(
    ("edits", "said", "place", "advice"),
    [
        pytest.param(
            [(TRIVIA, CALL, f"    if option.is_correct:\n    {CALL}")],
            "geekquiz/trivia.py:65: the message is sent only under a condition, `if option.is_correct`",
            "if option.is_correct:",
            "Write line 66 of geekquiz/trivia.py without the condition, then verify again.",
            id="a condition",
        ),
        pytest.param(
            [(TRIVIA, CALL, ""), (TRIVIA, "    if question is None:", f"{CALL}    if question is None:")],
            "geekquiz/trivia.py:81: the message is sent by next_question, and the answer is stored by post_answer "
            "(geekquiz/trivia.py:",
            CALL.strip(),
            "Move line 81 of geekquiz/trivia.py below geekquiz/trivia.py:",
            id="another function",
        ),
        pytest.param(
            [(SCRIPT, "/signalr/statistics", "/signalr/statistic")],
            "the page connects to /signalr/statistic (geekquiz/static/statistics.js:",
            '.withUrl("/signalr/statistic")',
            "Write /signalr/statistics in geekquiz/static/statistics.js:",
            id="another address in the page",
        ),
        pytest.param(
            [(HUB, '"/statistics"', '"/statistcs"')],
            "the page connects to /signalr/statistics (geekquiz/static/statistics.js:",
            '@signalr.hub("/statistcs", authorize=True)',
            "Write /statistics in geekquiz/hubs/statistics.py:8, then verify again.",
            id="another address of the hub",
        ),
        pytest.param(
            [(STARTUP, 'app.mount("/signalr", signalr)', 'app.mount("/realtime", signalr)')],
            "the page connects to /signalr/statistics (geekquiz/static/statistics.js:67), the hub is mapped to "
            "/realtime/statistics (geekquiz/startup.py:",
            'app.mount("/realtime", signalr)',
            "Write /signalr in geekquiz/startup.py:",
            id="another address of all hubs",
        ),
        pytest.param(
            [(STARTUP, '"/signalr", signalr', '"/realtime", signalr'), (HUB, '"/statistics"', '"/figures"')],
            "the page connects to /signalr/statistics (geekquiz/static/statistics.js:67), the hub is mapped to "
            "/realtime/figures (geekquiz/startup.py:",
            'app.mount("/realtime", signalr)',
            "Write /signalr in geekquiz/startup.py:",
            id="another address of all hubs and of this one",
        ),
        pytest.param(
            [(STARTUP, '    app.mount("/signalr", signalr)\n', "")],
            "nothing mounts the SignalR application, so no hub is mapped: geekquiz/startup.py has no",
            "geekquiz/startup.py:1",
            'Write `app.mount("/signalr", signalr)` at the end of configure in geekquiz/startup.py',
            id="no hub is mapped",
        ),
        pytest.param(
            [(SCRIPT, '"updateStatistics"', '"updateStatistcs"')],
            "the server sends “updateStatistics” (geekquiz/statistics.py:",
            'connection.on("updateStatistcs"',
            "Write updateStatistics in geekquiz/static/statistics.js:",
            id="another name in the page",
        ),
        pytest.param(
            [(SERVICE, '"updateStatistics"', '"updateStats"')],
            "the server sends “updateStats” (geekquiz/statistics.py:",
            'await hub.clients.all.send("updateStats"',
            "Write updateStatistics in geekquiz/statistics.py:",
            id="another name on the server",
        ),
        pytest.param(
            [(SCRIPT, "connection.start()", "connection.stop()")],
            "geekquiz/static/statistics.js:",
            "const connection = new signalR.HubConnectionBuilder()",
            "Write `connection.start()` at the end of geekquiz/static/statistics.js, then verify again.",
            id="never started",
        ),
        pytest.param(
            [(TRIVIA, CALL, "")],
            "no line calls notify_updates, which sends the message (geekquiz/statistics.py:",
            "geekquiz/trivia.py:1",
            "Write `await StatisticsService(session).notify_updates()` in geekquiz/trivia.py, after the answer",
            id="never called",
        ),
        pytest.param(
            [(SERVICE, '        await hub.clients.all.send("updateStatistics", statistics)\n', "")],
            "geekquiz/statistics.py:37: this sends no message to the pages: it has no `await hub.clients.all.send(",
            "async def notify_updates(self) -> None:",
            'Write `await hub.clients.all.send("updateStatistics", statistics)` in geekquiz/statistics.py, where the',
            id="never sent",
        ),
        pytest.param(
            [(TRIVIA, COMMIT + CALL, CALL + COMMIT)],
            "geekquiz/trivia.py:64: the message is sent before the answer is stored, in line 65",
            CALL.strip(),
            "Move line 64 of geekquiz/trivia.py below line 65.",
            id="before the commit",
        ),
        pytest.param(
            [(SERVICE, "clients.all", 'clients.group("x")')],
            "geekquiz/statistics.py:",
            'await hub.clients.group("x").send(',
            "Write clients.all in geekquiz/statistics.py:",
            id="to a group",
        ),
        pytest.param(
            [(SCRIPT, '"/signalr/statistics"', '"https://geek.example/signalr/statistics"')],
            "geekquiz/static/statistics.js:67: the page connects to another server, https://geek.example/signalr/",
            '.withUrl("https://geek.example/signalr/statistics")',
            "Write /signalr/statistics in geekquiz/static/statistics.js:67, then verify again.",
            id="another server",
        ),
        pytest.param(
            [(SERVICE, "import StatisticsHub, signalr\n", "import StatisticsHub\n\nsignalr = SignalR()\n")],
            "geekquiz/statistics.py:8: this makes another SignalR application than geekquiz/hubs/statistics.py:5",
            "signalr = SignalR()",
            "Delete geekquiz/statistics.py:8, and import the application from geekquiz/hubs/statistics.py",
            id="another application",
        ),
        pytest.param(
            [(SERVICE, '"updateStatistics", statistics', '"updateStatistics"')],
            "geekquiz/statistics.py:41: “updateStatistics” is sent with no arguments, and the page's handler takes 1: "
            "statistics (geekquiz/static/statistics.js:71)",
            'await hub.clients.all.send("updateStatistics")',
            "Send statistics as well in geekquiz/statistics.py:41, then verify again.",
            id="without arguments",
        ),
    ],
)
def test_what_the_two_sides_do_not_agree_on_is_told_with_its_line(
    tmp_path: Path, edits: list[tuple[str, str, str]], said: str, place: str, advice: str
) -> None:
    found = cause(tmp_path / "app", EX1, *edits)
    assert (found[0][: len(said)], found[1][: len(place)], found[2][: len(advice)]) == (said, place, advice)


@pytest.mark.parametrize(
    ("old", "new", "said", "advice"),
    [
        pytest.param(
            "connection.onreconnected(() => location.reload()); // for what was sent meanwhile\n",
            "",
            "geekquiz/static/statistics.js:66: the page has connected again, and no line catches up on what was sent "
            "meanwhile: geekquiz/static/statistics.js has no `connection.onreconnected(() => location.reload());`",
            "Write `connection.onreconnected(() => location.reload());` in geekquiz/static/statistics.js, where the "
            "manual has it, then verify again.",
            id="nothing for the return",
        ),
        pytest.param(
            "connection.onreconnected(() => location.reload());",
            'connection.onreconnected(() => showFreshness("Live", true));',
            "geekquiz/static/statistics.js:76: the page has connected again, and this does not catch up on what was "
            "sent meanwhile",
            "Mend geekquiz/static/statistics.js:76, save the file and verify again.",
            id="something else for the return",
        ),
        pytest.param(
            "  .withAutomaticReconnect()\n",
            "",
            "geekquiz/static/statistics.js:66: this connection does not connect again once it has ended: "
            "geekquiz/static/statistics.js has no `.withAutomaticReconnect()`",
            "Write `.withAutomaticReconnect()` in geekquiz/static/statistics.js, where the manual has it, then verify "
            "again.",
            id="no return",
        ),
        pytest.param(
            ".withAutomaticReconnect()",
            ".withAutomaticReconnect([60000])",
            "geekquiz/static/statistics.js:68: the page does not connect again in time: this says when it tries",
            "Mend geekquiz/static/statistics.js:68, save the file and verify again.",
            id="a late return",
        ),
    ],
)
def test_a_page_that_misses_what_was_sent_while_it_was_away_says_why(
    tmp_path: Path, old: str, new: str, said: str, advice: str
) -> None:
    offline, edit = "ex1.3/a-page-that-was-offline-catches-up", (SCRIPT, old, new)
    found = cause(tmp_path / "page", EX1, edit, check=offline, side="page")
    assert (found[0], found[2]) == (said, advice)
    assert cause(tmp_path / "server", EX1, edit, check=offline) == ("", "", "")
    assert cause(tmp_path / "other", EX1, edit, side="page") == ("", "", "")


def test_a_hub_that_lets_everybody_in_is_told_of_strangers_only(tmp_path: Path) -> None:
    edit = (HUB, ", authorize=True", "")
    assert cause(tmp_path / "hub", EX1, edit, check="ex1.2/the-hub-refuses-a-stranger") == (
        "geekquiz/hubs/statistics.py:8: the hub lets everybody in: authorize=True is missing",
        '@signalr.hub("/statistics")',
        "Write authorize=True in the brackets of geekquiz/hubs/statistics.py:8, then verify again.",
    )
    assert cause(tmp_path / "other", EX1, edit) == ("", "", "")
    assert cause(tmp_path / "end", EX1, check="ex1.2/the-hub-refuses-a-stranger") == ("", "", "")


def test_a_line_that_waits_is_told_of_answers_that_take_long(tmp_path: Path) -> None:
    edit = (TRIVIA, CALL, f"    await asyncio.sleep(7)\n{CALL}")
    assert cause(tmp_path / "app", EX1, edit, side="server") == (
        "geekquiz/trivia.py:65: this waits, and every answer with it",
        "await asyncio.sleep(7)",
        "Delete geekquiz/trivia.py:65, then verify again.",
    )


@pytest.mark.parametrize(
    ("new", "said", "advice"),
    [
        (
            "  if (shown < 3) showStatistics(statistics);\n});",
            "geekquiz/static/statistics.js:72: the message is shown only under a condition, `if (shown < 3)`",
            "Write geekquiz/static/statistics.js:72 without the condition, then verify again.",
        ),
        (
            '  showStatistics(statistics);\n  connection.off("updateStatistics");\n});',
            "geekquiz/static/statistics.js:73: this takes the handler away again",
            "Delete geekquiz/static/statistics.js:73, then verify again.",
        ),
        ("  if (before) {\n    showStatistics(before);\n  }\n  before = statistics;\n});\nlet before;", "", ""),
        ("  if (before) showStatistics(before);\n  before = statistics;\n});\nlet before;", "", ""),
        (
            "  if (shown) {\n    showStatistics(statistics);\n  }\n});\nlet shown;",
            "geekquiz/static/statistics.js:72: the message is shown only under a condition, `if (shown)`",
            "Write geekquiz/static/statistics.js:72 without the condition, then verify again.",
        ),
    ],
)
def test_a_page_that_does_not_show_what_it_is_told_says_why(tmp_path: Path, new: str, said: str, advice: str) -> None:
    edit = (SCRIPT, "  showStatistics(statistics);\n});", new)
    assert cause(tmp_path / "told", EX1, edit, side="page")[::2] == (said, advice)
    assert cause(tmp_path / "unknown", EX1, edit) == ("", "", "")
    assert cause(tmp_path / "end", EX1, side="page") == ("", "", "")


def test_a_client_that_is_not_loaded_and_a_backplane_that_is_not_used_are_told(tmp_path: Path) -> None:
    script = '<script src="/signalr/signalr.js"></script>'
    assert cause(tmp_path / "1", EX1, (PAGE, script, ""), missed="signalR")[2] == (
        f"Write `{script}` in {PAGE}, above the page's own script, then verify again."
    )
    for number, tag in enumerate((script.replace("script src", "scritp src"), script.replace("src", "scr"))):
        assert cause(tmp_path / f"tag{number}", EX1, (PAGE, script, tag), missed="signalR") == (
            f"{PAGE}:28: this loads no script, and the page uses signalR: the manual has `{script}`",
            tag,
            f"Write `{script}` in {PAGE}:28, then verify again.",
        )
    line = 'signalr.use_backplane(f"{settings.database_server}/signalr")'
    assert cause(tmp_path / "2", EX2, (STARTUP, line, "pass"))[2] == (
        f"Write `{line}` in {STARTUP}, above the line that mounts the hubs, then verify again."
    )
