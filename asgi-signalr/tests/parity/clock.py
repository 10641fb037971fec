"""A clock that a busy machine does not hurry: it stands still while there is anything to do."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class PatientEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when everybody waits for it, and then at once.

    So a wait of ten seconds takes none, and whatever can happen before it ends has happened.
    """

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Tell the time, in seconds since the loop was made."""
        return self._clock.now


class _Clock(selectors.BaseSelector):
    """Looks for what is ready; the time for which it is to wait for that has passed when it returns."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._selector.select(None if timeout is None else 0)
        if not ready:
            self.now += timeout or 0
        return ready
