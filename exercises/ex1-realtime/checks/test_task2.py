"""Task 2: what SignalR adds, part by part; each check stands on its own parts only."""

import pytest
import quiz_hub
from live_scene import Live
from quiz_pages import judge_package
from quiz_scene import LEFT, Moment, Seen

from labkit.checking import WAIT, NotDone, Stage, until

pytestmark = [pytest.mark.task(2), pytest.mark.budget(120)]

UNSENT = "nothing calls notify_updates after the answer is stored, or it sends to nobody"

UNSTORED = "the pages are notified before the commit"

SKIPPED = "the server tells other answers, and not this one"


@pytest.mark.snippets("signalr-package")
def test_the_package_is_declared(stage: Stage) -> None:
    """The quiz depends on the package asgi-signalr."""
    judge_package(stage.app, "asgi-signalr")


@pytest.mark.snippets("map-signalr", "map-signalr-imports", "statistics-hub-class")
def test_the_hub_answers_a_signed_in_user(live: Live) -> None:
    """The hub accepts the connection of a signed-in user."""
    if not live.is_reachable:
        status = live.hub_status
        raise NotDone(
            expected="the hub accepts the connection",
            seen=f"the answer {status}" if status and status != 200 else "an answer, but no connection",
            where=f"POST {live.path}/negotiate, as {live.player.name}",
            cause=_unmapped(live) or _refusing(live),
        )
    other = live.fresh
    refused = next((status for _, status in quiz_hub.refusals(other.wire) if status in (401, 403)), None)
    if live.watched.connected and not other.connected and refused:
        raise NotDone(
            expected="the hub accepts the connection of every signed-in user",
            seen=f"it accepts {live.player.name}, and answers {refused} to {other.user}",
            where=f"POST {live.path}/negotiate, as {other.user}",
            cause="the hub lets in some users only, though all of them have logged in",
        )


@pytest.mark.snippets("statistics-hub-class", "map-signalr", "map-signalr-imports")
def test_the_hub_refuses_a_stranger(live: Live) -> None:
    """The hub refuses whoever has not logged in."""
    if not live.is_reachable:
        raise NotDone(
            expected="a hub that refuses somebody who has not logged in",
            seen="no hub that anybody could connect to",
            where=f"POST {live.path}/negotiate, without a cookie",
            cause=_unmapped(live),
        )
    for each in live.strangers:
        if each.let_in:
            raise NotDone(
                expected="the hub refuses somebody who has not logged in",
                seen=f"it lets somebody connect {each.how}",
                where=live.path,
                cause="the hub lets everybody in: authorize=True is missing"
                if all(other.let_in for other in live.strangers[:2])
                else f"the hub lets in whoever comes {each.how}",
            )


@pytest.mark.snippets(
    "notify-updates-call",
    "trivia-imports",
    "notify-updates-method",
    "using-directives",
    "map-signalr",
    "map-signalr-imports",
)
def test_an_answer_is_told(live: Live) -> None:
    """After an answer is stored, the server sends a message through the hub."""
    for moment in live.moments:
        failed = next((each for each in moment.answers if not each.is_accepted), None)
        if failed:
            raise NotDone(
                expected="the answer is stored, and a message sent",
                seen=f"the status {failed.status}" if failed.status else "no response",
                where=f"POST /api/trivia, {failed.spoken}",
                cause=None if live.is_reachable else _unmapped(live),
            )
        told = live.told(moment)
        if not any(told.values()):
            raise NotDone(
                expected=f"a message from the hub after {moment.answer.spoken}",
                seen="no message" if told else "no hub to send one",
                where="POST /api/trivia",
                cause=(_left(live) or (UNSENT if moment is live.moments[0] else SKIPPED)) if told else _unmapped(live),
            )
        _judge_once(moment)
        _judge_order(live, moment)
    if live.told_unstored:
        raise NotDone(
            expected="a message after an answer is stored",
            seen="a message after an answer that could not be stored",
            where="POST /api/trivia",
            cause=UNSTORED,
        )


@pytest.mark.snippets(
    "notify-updates-method",
    "using-directives",
    "notify-updates-call",
    "trivia-imports",
    "map-signalr",
    "map-signalr-imports",
)
def test_everybody_is_told(live: Live) -> None:
    """The message goes to every user who is connected, not only to the one who answered."""
    for moment in live.moments:
        told = live.told(moment)
        deaf = [where for where, news in told.items() if not news]
        if deaf or not told:
            raise NotDone(
                expected=f"every connection is told of {moment.answer.spoken}",
                seen="nobody is connected" if not told else f"nothing at {deaf[0]}",
                where=live.path,
                cause=_left(live)
                or (
                    "the message is not sent to all clients"
                    if any(told.values())
                    else UNSENT
                    if told
                    else _unmapped(live)
                ),
            )


@pytest.mark.snippets("signalr-script-references", "map-signalr", "map-signalr-imports")
def test_the_page_loads_the_client(live: Live) -> None:
    """The Statistics page loads the SignalR client script."""
    page = live.watched
    if not page.has_client() and not page.connected:
        raise NotDone(
            expected="the script defines signalR on the page",
            seen="signalR is not defined",
            where=page.where,
            cause=page.trouble or "the page does not load /signalr/signalr.js before its own script",
        )


@pytest.mark.snippets("signalr-client-code", "signalr-script-references")
def test_the_page_connects(live: Live) -> None:
    """The Statistics page opens a connection to the hub."""
    tried = live.scripted is not None and live.scripted.page.connected
    if not tried and not live.watched.trouble and live.watched.has_client():
        until(live.watched.page, lambda: live.watched.connected, WAIT)  # a script that waits is not one that never does
    if not live.watched.connected and (live.is_reachable or not tried):
        raise NotDone(
            expected="the page opens a connection to the hub",
            seen="it has none: it reaches no hub" if tried else "it has opened none",
            where=live.watched.where,
            cause=live.watched.trouble or (None if tried else "the page's script never starts a HubConnection"),
        )
    late = live.watched.hesitation()
    if late > WAIT:
        raise NotDone(
            expected="the page opens a connection to the hub once it is loaded",
            seen=f"it began to {late:.1f} s later",
            where=live.watched.where,
            cause="the page's script waits before it starts the connection",
        )


@pytest.mark.snippets("signalr-client-code")
def test_a_message_changes_the_counters(live: Live) -> None:
    """When the hub sends new statistics, the page shows them in both counters."""
    for seen in _after_messages(live):
        if not seen.after.has_counters_of(seen.expected):
            raise NotDone(
                expected=f"after the message: {seen.expected.counters}",
                seen=seen.counters,
                where=f"{seen.page.where}, the counters",
                cause=_unheard(live) or seen.cause(),
                side=seen.side(),
            )
    played = live.scripted
    if played and not any(played.after.has_counters_of(each) for each in played.expected):
        raise NotDone(
            expected=f"after a message: {played.expected[0].counters}",
            seen=f"still {played.after.counters}" if played.after == played.before else played.after.counters,
            where=f"{played.page.where}, the counters",
            cause=_unheard(live) or "the page does not write the counters when the message comes",
        )


@pytest.mark.snippets("signalr-client-code")
def test_a_message_redraws_the_charts(live: Live) -> None:
    """When the hub sends new statistics, the page redraws both charts."""
    for seen in _after_messages(live):
        if not seen.after.has_charts_of(seen.expected):
            raise NotDone(
                expected=f"after the message: {seen.expected.charts}",
                seen=seen.charts,
                where=f"{seen.page.where}, #answers-chart and #average-chart",
                cause=_unheard(live) or seen.cause(with_charts=True),
                side=seen.side(with_charts=True),
            )
    played = live.scripted
    if played and not any(played.after.has_charts_of(each) for each in played.expected):
        raise NotDone(
            expected=f"after a message: {played.expected[0].charts}",
            seen=f"still {played.after.charts}" if played.after == played.before else played.after.charts,
            where=f"{played.page.where}, #answers-chart and #average-chart",
            cause=_unheard(live) or "the page does not update the charts when the message comes",
        )


def _after_messages(live: Live) -> list[Seen]:
    """What the real page showed after the real hub's messages."""
    return [seen for moment in live.moments for seen in moment.seen if seen.page is live.watched and seen.news]


def _judge_once(moment: Moment) -> None:
    """Make sure that nothing is told twice to one page after one answer."""
    if len(moment.answers) > 1:
        return
    for seen in moment.seen:
        contents = [news.content for news in seen.news]
        twice = next((each for each in contents if contents.count(each) > 1 and each[1] != "[]"), None)
        if twice:
            raise NotDone(
                expected=f"one message to each page after {moment.answer.spoken}",
                seen=f"{contents.count(twice)} messages {twice[0]} with the same content",
                where=seen.page.where,
                cause="the message is sent more than once, or the page is connected more than once",
            )


def _judge_order(live: Live, moment: Moment) -> None:
    """Make sure that whoever is told of an answer finds it in the database."""
    seen, stored = moment.of(live.watched), live.ledger.between(moment.began, live.end_of(moment))
    total = seen.expected.correct + seen.expected.incorrect if seen else 0
    if seen and seen.news and stored is not None and stored < total:
        raise NotDone(
            expected=f"the message comes after {moment.answer.spoken} is stored",
            seen=f"when it came, {stored} of {total:g} answers were stored",
            where="POST /api/trivia",
            cause=UNSTORED,
        )


def _unheard(live: Live) -> str | None:
    """The names that are sent and those that are listened to, if they do not meet."""
    if live.scripted is None:
        return None
    handlers = live.scripted.page.handlers()
    sent = list(dict.fromkeys(news.target for news in live.scripted.told)) if live.scripted.is_real else []
    names = {each.lower() for each in handlers}
    if sent and handlers and not any(each.lower() in names for each in sent):
        return f"the server sends {', '.join(sent)}, the page listens to {', '.join(handlers)}"
    return None if handlers else "the page has no handler for the message"


def _refusing(live: Live) -> str | None:
    """The cause if the hub refuses whoever comes."""
    status = live.hub_status
    return f"the hub answers {status} to {live.player.name}, who has logged in" if status in (401, 403) else None


def _left(live: Live) -> str | None:
    """The cause if the page has heard nothing because it was not there."""
    if live.watched.reloads > 0:
        return "the page reloads itself, and is told nothing meanwhile"
    return LEFT if live.watched.has_left else None


def _unmapped(live: Live) -> str | None:
    """The cause of the hub's answer, if that is known."""
    return f"no hub is mapped to {live.path}" if live.hub_status == 404 else None
