"""Task 1: two instances, before and after."""

import pytest
from quiz_pages import Player
from relay_scene import Relay

from labkit.checking import WAIT, NotDone, RunningInstance

pytestmark = [pytest.mark.task(1), pytest.mark.budget(120)]


def test_one_log_in_serves_both_instances(player: Player, relay: Relay, instances: tuple[RunningInstance, ...]) -> None:
    """Two instances run, and whoever logs in on one is logged in on the other."""
    if relay.greeting_on_second != f"Hello {player.name}!":
        raise NotDone(
            expected=f"“Hello {player.name}!” on instance 2",
            seen=f"“{relay.greeting_on_second}”",
            where=f"instance 2, {instances[1].url}/",
        )


def test_the_first_instance_updates_its_own_pages(relay: Relay) -> None:
    """An open Statistics page of instance 1 follows the answers given on instance 1."""
    _judge(relay, 1)


def test_the_second_instance_updates_its_own_pages(relay: Relay) -> None:
    """An open Statistics page of instance 2 follows the answers given on instance 2."""
    _judge(relay, 2)


def _judge(relay: Relay, instance: int) -> None:
    page = relay.page_of(instance)
    for each in relay.group.answers:
        if each.instance == instance and not each.is_accepted:
            raise NotDone(
                expected="every answer is taken, and judged",
                seen=f"the status {each.status}" if each.status else "no response",
                where=f"POST /api/trivia, {each.spoken}",
            )
    for moment in relay.answered_on(instance):
        seen = moment.of(page)
        if seen and not (seen.after.shows(seen.expected) and seen.news):
            raise NotDone(
                expected=f"{seen.expected.counters} within {WAIT:g} s of {moment.answer.spoken}",
                seen=seen.counters if not seen.after.shows(seen.expected) else "no message from the hub",
                where=page.where,
                cause=seen.cause(),
                side=seen.side(),
            )
