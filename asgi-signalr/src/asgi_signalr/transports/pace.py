"""Whose turn it is on the event loop, by time: much of one client's is dealt with in portions."""

import asyncio
import time
from collections import deque

# Seconds that are spent on one client's affairs before the event loop does other things.
TURN = 0.0005


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


class SharedTurn:
    """One client's turn, which its streams share: in each round of the event loop as many go on as it has time for."""

    __slots__ = ("_began", "_end", "_is_on", "_most", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_on = False
        self._most = 1  # how many have gone on within a turn before
        self._began = self._end = 0.0

    async def next(self) -> None:
        """Go on at once while there is time and nobody waits, else in a later round."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            now = time.perf_counter()
            if not self._is_on:
                self._is_on = True
                self._end = now + TURN
                loop.call_soon(self._go_round)
            if now < self._end:
                return
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _go_round(self) -> None:
        """Let the next ones go on, between two looks at the clock."""
        if not self._waiting:
            self._is_on = False
            return
        loop = asyncio.get_running_loop()
        loop.call_soon(self._look)
        for _ in range(min(self._most, len(self._waiting))):
            each = self._waiting.popleft()
            if not each.done():  # its stream may have been cancelled
                each.set_result(None)
        loop.call_soon(self._look_again)

    def _look(self) -> None:
        self._began = time.perf_counter()
        self._end = self._began + TURN

    def _look_again(self) -> None:
        taken = time.perf_counter() - self._began
        self._most = max(1, int(self._most * TURN / taken)) if taken > TURN else self._most + 1
        self._go_round()
