"""Task 2: what SignalR adds, part by part; each check stands on its own parts only."""

import pytest
from quiz_pages import declared_packages
from scenes import Explored, Hub, Live

from labkit.checking import NotDone, Stage

pytestmark = pytest.mark.task(2)

UNSENT = "nothing calls notify_updates after the answer is stored, or it sends to nobody"


@pytest.mark.snippets("signalr-package")
def test_the_package_is_declared(stage: Stage) -> None:
    """The quiz depends on the package asgi-signalr."""
    packages = declared_packages(stage.app)
    if "asgi-signalr" not in packages:
        raise NotDone(
            expected="asgi-signalr among the dependencies",
            seen=", ".join(packages) or "no dependencies",
            where="pyproject.toml",
        )


@pytest.mark.snippets("map-signalr", "map-signalr-imports", "statistics-hub-class")
def test_the_hub_answers_a_signed_in_user(hub: Hub, live: Live) -> None:
    """The hub accepts the connection of a signed-in user."""
    if not live.listener.connected:
        raise NotDone(
            expected="the hub answers 200 and accepts the connection",
            seen=f"the answer {hub.status}" if hub.status != 200 else "200, but no connection",
            where=f"POST {hub.path}/negotiate",
            cause=_unmapped(hub, hub.status),
        )


@pytest.mark.snippets("statistics-hub-class", "map-signalr", "map-signalr-imports")
def test_the_hub_refuses_a_stranger(hub: Hub) -> None:
    """The hub refuses whoever has not logged in."""
    if hub.stranger_status not in (401, 403, 303, 302, 307):
        raise NotDone(
            expected="the hub answers 401 to somebody who has not logged in",
            seen=f"the answer {hub.stranger_status}",
            where=f"POST {hub.path}/negotiate, without a cookie",
            cause="the hub lets everybody in: authorize=True is missing"
            if hub.stranger_status == 200
            else _unmapped(hub, hub.stranger_status),
        )


@pytest.mark.snippets(
    "notify-updates-call",
    "trivia-imports",
    "notify-updates-method",
    "using-directives",
    "map-signalr",
    "map-signalr-imports",
)
def test_an_answer_is_told(live: Live, hub: Hub) -> None:
    """After an answer is stored, the server sends a message through the hub."""
    if not live.listener.invocations and not live.watched.invocations and not live.other.invocations:
        raise NotDone(
            expected="a message from the hub after the answer",
            seen="no message" if live.listener.connected else "no hub to send one",
            where="POST /api/trivia",
            cause=UNSENT if live.listener.connected else _unmapped(hub, hub.status),
        )


@pytest.mark.snippets(
    "notify-updates-method",
    "using-directives",
    "notify-updates-call",
    "trivia-imports",
    "map-signalr",
    "map-signalr-imports",
)
def test_everybody_is_told(live: Live, hub: Hub) -> None:
    """The message goes to every user who is connected, not only to the one who answered."""
    if not live.other.invocations:
        sent = live.listener.invocations or live.watched.invocations
        raise NotDone(
            expected="the message reaches another user's connection as well",
            seen="nothing there" if live.other.connected else "another user cannot connect either",
            where="a second user, connected to the hub",
            cause=("the message is not sent to all clients" if sent else UNSENT)
            if live.other.connected
            else _unmapped(hub, hub.status),
        )


@pytest.mark.snippets("signalr-script-references", "map-signalr", "map-signalr-imports")
def test_the_page_loads_the_client(explored: Explored) -> None:
    """The Statistics page loads the SignalR client script."""
    page = explored.statistics
    if not page.has_client() and not page.connected:
        raise NotDone(
            expected="the script defines signalR on the page",
            seen="signalR is not defined",
            where=page.where,
            cause=page.trouble or "the page does not load /signalr/signalr.js before its own script",
        )


@pytest.mark.snippets("signalr-client-code")
def test_the_page_connects(live: Live) -> None:
    """The Statistics page opens a connection to the hub."""
    if not live.scripted.connected:
        raise NotDone(
            expected="the page opens a connection",
            seen="it has opened none",
            where=live.scripted.where,
            cause="the page's script never starts a HubConnection",
        )


@pytest.mark.snippets("signalr-client-code")
def test_a_message_changes_the_counters(live: Live) -> None:
    """When the hub sends new statistics, the page shows them in both counters."""
    allowed = [figures.counters for figures in live.scripted_expected]
    if live.scripted_after.counters not in allowed:
        raise NotDone(
            expected=f"after the message: {allowed[0]}",
            seen=live.scripted_after.counters,
            where=f"{live.scripted.where}, the counters",
            cause="the page has no handler for the message, or it does not write the counters",
        )


@pytest.mark.snippets("signalr-client-code")
def test_a_message_redraws_the_charts(live: Live) -> None:
    """When the hub sends new statistics, the page redraws both charts."""
    allowed = [figures.charts for figures in live.scripted_expected]
    if live.scripted_after.charts not in allowed:
        raise NotDone(
            expected=f"after the message: {allowed[0]}",
            seen=live.scripted_after.charts,
            where=f"{live.scripted.where}, #answers-chart and #average-chart",
            cause="the page has no handler for the message, or it does not update the charts",
        )


def _unmapped(hub: Hub, status: int) -> str | None:
    """The cause of an answer of the hub, if that is known."""
    return f"no hub is mapped to {hub.path}" if status == 404 else None
