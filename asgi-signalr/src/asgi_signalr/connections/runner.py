"""Tasks for calls: one task runs many of them, one after the other, as long as none has to wait.

Most calls end as soon as they begin, and a task of its own for each would cost more than the call. The first one that
waits keeps the task for itself, as if it had been made for it; another task goes on with the others.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from types import coroutine
from typing import Any, Protocol

from asgi_signalr.transports.pace import Pace


class Job(Protocol):
    """Whatever is told which task it runs in."""

    task: asyncio.Task[None] | None


class Runner:
    """Runs the calls of one event loop, in the order in which they come, beginning in the next tick."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Job, Coroutine[Any, Any, None], Context]] = deque()
        self._task: asyncio.Task[None] | None = None

    def run(self, job: Job, call: Coroutine[Any, Any, None]) -> None:
        """Run a call, in a copy of the current context."""
        self._waiting.append((job, call, copy_context()))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        task = self._task
        assert task is not None  # noqa: S101  (it is this one)
        try:
            pace = Pace()
            while self._waiting:
                job, call, context = self._waiting.popleft()
                job.task = task
                try:
                    waits_for = context.run(call.send, None)
                except StopIteration:
                    if task.cancelling():  # by the call itself: that is not the next one's affair
                        return
                    if pace.is_over():
                        await asyncio.sleep(0)
                        pace.begin()
                    continue
                self._hand_over()
                await _go_on(call, context, waits_for)
                return
        finally:
            if self._task is task:
                self._hand_over()

    def _hand_over(self) -> None:
        """Have another task go on with the calls that wait."""
        self._task = asyncio.get_running_loop().create_task(self._run()) if self._waiting else None


@coroutine
def _go_on(call: Coroutine[Any, Any, None], context: Context, waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with a call that has been stepped to where it first waits, in its own context."""
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001  (thrown in for the call: a cancellation, too)
                waits_for = context.run(call.throw, error)
            else:
                waits_for = context.run(call.send, value)
    except StopIteration:
        return
