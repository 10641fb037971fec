"""The turn of the running call, which it gives back while it waits for its own client.

The calls of a connection take turns (`max_parallel_invocations`). A hub method that asks its client something would
wait for ever if the client's answer waited for its turn behind that very method, so it gives up its turn meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Turn(Protocol):
    """The turn of a call."""

    def release(self) -> None:
        """Give it up for a while.

        Raises:
            RuntimeError: what runs now must not wait for its client.

        """

    def retake(self) -> None:
        """Count again as running; whatever else runs by then goes on."""


current: ContextVar[Turn | None] = ContextVar("asgi_signalr_turn", default=None)
"""The turn of the hub method that this code was called by; None outside of one."""


@contextmanager
def released() -> Iterator[None]:
    """Let the connection's next messages be dispatched while the running hub method waits for a client.

    Raises:
        RuntimeError: inside `on_connected` and `on_disconnected`, where no message of the client is read.

    """
    turn = current.get()
    if turn is None:
        yield
        return
    turn.release()
    try:
        yield
    finally:
        turn.retake()


@contextmanager
def refused() -> Iterator[None]:
    """Refuse to wait for a client as long as an event of its connection lasts: none of its messages is read."""
    refusal = _Refusal()
    token = current.set(refusal)
    try:
        yield
    finally:
        current.reset(token)
        refusal.is_over = True


class _Refusal:
    """Stands in for a turn in `on_connected` and `on_disconnected`, and in the tasks that they begin."""

    def __init__(self) -> None:
        self.is_over = False

    def release(self) -> None:
        """Refuse, as long as the event lasts."""
        if not self.is_over:
            raise RuntimeError("Client results inside on_connected and on_disconnected are not allowed.")

    def retake(self) -> None:
        """Do nothing: nothing was given up."""
