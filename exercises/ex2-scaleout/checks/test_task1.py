"""Task 1: two instances, before and after."""

import pytest
from quiz_pages import Player
from scenes import Answered, Relay

from labkit.checking import WAIT, NotDone, RunningInstance

pytestmark = pytest.mark.task(1)


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
    _judge(relay.first, 1)


def test_the_second_instance_updates_its_own_pages(relay: Relay) -> None:
    """An open Statistics page of instance 2 follows the answers given on instance 2."""
    _judge(relay.second, 2)


def _judge(answered: Answered, number: int) -> None:
    if answered.own_after == answered.own_before:
        raise NotDone(
            expected=f"other figures within {WAIT:g} s after an answer on instance {number}",
            seen=f"still {answered.own_after.counters}",
            where=answered.own.where,
            cause=answered.own.trouble,
        )
