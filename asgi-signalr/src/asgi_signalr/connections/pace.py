"""Whose turn it is on the event loop, by time: much of one client's is dealt with in portions."""

import time

# Seconds that are spent on one client's affairs before the event loop does other things.
TURN = 0.001


class Pace:
    """The time that is left of a turn on the event loop: whoever has none left waits for the loop to go round."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a turn: the event loop has just gone round."""
        self._end = time.perf_counter() + TURN

    def is_over(self) -> bool:
        """Say whether the turn is over."""
        return time.perf_counter() >= self._end

    def pause(self) -> float:
        """Begin to wait; `go_on` takes what is returned. Nobody knows of a wait whether others had their turn."""
        return self._end - time.perf_counter()

    def go_on(self, left: float) -> None:
        """Go on with what was left of the turn."""
        self._end = time.perf_counter() + left
