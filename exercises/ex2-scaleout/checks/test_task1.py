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


@pytest.mark.parametrize("instance", [1, 2])
def test_an_instance_updates_its_own_pages(relay: Relay, instance: int) -> None:
    """An open Statistics page follows the answers given on its own instance."""
    answered: Answered = (relay.first, relay.second)[instance - 1]
    if answered.own_after == answered.own_before:
        raise NotDone(
            expected=f"other figures within {WAIT:g} s after an answer on instance {instance}",
            seen=f"still {answered.own_after.counters}",
            where=answered.own.where,
        )
