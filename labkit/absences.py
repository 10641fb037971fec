"""Instances that are killed and come back after a while, as servers do, while the others serve."""

import contextlib
import queue
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.instances import Instances, Outcome

AWAY = 5.0
"""After how many seconds an instance that was killed is started again."""


class Absences:
    """Kills instances, on demand or in turn, and starts them again; `look` has to be called every now and then.

    With `rolling` that many seconds lie between two turns, and nobody's turn comes while another one is away. `tell` is
    told, in a sentence, what becomes of whom.
    """

    def __init__(
        self,
        instances: "Instances",
        tell: Callable[[int, str], None],
        rolling: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances = instances
        self._tell = tell
        self._rolling = rolling
        self._clock = clock
        self._due: dict[int, float] = {}
        self._starting: dict[int, Outcome] = {}
        self._turn = 1
        self._next_turn = clock() + (rolling or 0)

    @property
    def away(self) -> list[int]:
        """The numbers of those that do not serve now."""
        return sorted(self._due.keys() | self._starting.keys())

    def kill(self, number: int) -> None:
        """Kill one; nothing if it is away already."""
        if number in self.away:
            return
        self._instances.kill(number)
        self._due[number] = self._clock() + AWAY
        self._tell(number, f"Instance {number} was killed; it returns in {AWAY:.0f} seconds.")

    def look(self) -> None:
        """Do what is due.

        Raises LabError if an instance does not start again.
        """
        for number in [each for each, due in self._due.items() if due <= self._clock()]:
            del self._due[number]
            self._starting[number] = self._instances.revive(number)
        for number, outcome in list(self._starting.items()):
            with contextlib.suppress(queue.Empty):
                failure = outcome.get_nowait()
                del self._starting[number]
                if failure:
                    raise failure
                self._tell(number, f"Instance {number} is back.")
                self._next_turn = self._clock() + (self._rolling or 0)
        if self._rolling and not self.away and self._next_turn <= self._clock():
            self.kill(self._turn)
            self._turn = self._turn % len(self._instances.list) + 1
