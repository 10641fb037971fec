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

    def release(self, asked: str) -> None:
        """Give it up for a while, to wait for the client of a connection.

        Raises:
            RuntimeError: what runs now must not wait for that one.

        """

    def retake(self) -> None:
        """Count again as running; whatever else runs by then goes on."""


current: ContextVar[Turn | None] = ContextVar("asgi_signalr_turn", default=None)
"""The turn of the hub method that this code was called by; None outside of one."""


@contextmanager
def released(asked: str) -> Iterator[None]:
    """Let the connection's next messages be dispatched while the running hub method waits for a client.

    Args:
        asked: the id of the client's connection.

    Raises:
        RuntimeError: it is asked inside its own `on_connected`, where none of its messages is read.

    """
    turn = current.get()
    if turn is None:
        yield
        return
    turn.release(asked)
    try:
        yield
    finally:
        turn.retake()


@contextmanager
def refused(connection_id: str) -> Iterator[None]:
    """Refuse to wait for a client as long as its connection begins: none of its messages is read."""
    refusal = _Refusal(connection_id)
    token = current.set(refusal)
    try:
        yield
    finally:
        current.reset(token)
        refusal.is_over = True


class _Refusal:
    """Stands in for a turn in `on_connected`, and in the tasks that it begins."""

    def __init__(self, connection_id: str) -> None:
        self._connection_id = connection_id
        self.is_over = False

    def release(self, asked: str) -> None:
        """Refuse, as long as the event lasts."""
        if asked == self._connection_id and not self.is_over:
            raise RuntimeError(
                "Client results inside on_connected are not allowed: "
                "a client's messages are read only when its own on_connected has ended."
            )

    def retake(self) -> None:
        """Do nothing: nothing was given up."""
