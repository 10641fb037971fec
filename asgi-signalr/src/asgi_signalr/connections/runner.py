"""Tasks for calls: a call is run up to where it first waits, and only one that waits keeps a task.

Most calls end as soon as they begin, and a task of its own for each would cost more than the call. So one task is made
for all that begin in the same tick, and each of them finds it as the current one. The first call that waits keeps it,
as if it had been made for that call; the next ones get another.
"""

import asyncio
import time
from asyncio.tasks import _enter_task, _leave_task  # for whoever runs tasks: asyncio's documentation, "Extending"
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Protocol

from asgi_signalr.transports.pace import Pace

# Seconds that the calls of one tick, whoever's they are, may take before the event loop does other things.
LONGEST_TURN = 0.005


class Job(Protocol):
    """Whatever is told which task it runs in."""

    task: asyncio.Task[None] | None


class Runner:
    """Runs the calls of one event loop, in the order in which they come."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Job, Coroutine[Any, Any, None], Context]] = deque()
        self._is_due = False  # whether the waiting calls are going to be begun
        self._spare: _Rest | None = None  # of which no call has kept the task
        self._end = 0.0  # of the turn
        self._is_in_turn = False  # whether calls have begun in this tick

    def run(self, job: Job, call: Coroutine[Any, Any, None]) -> None:
        """Run a call, in a copy of the current context, from the next tick on."""
        self._waiting.append((job, call, copy_context()))
        self._run_soon()

    def run_now(self, job: Job, call: Coroutine[Any, Any, None]) -> None:
        """Run a call at once, in a copy of the current context; if this tick's calls have had their turn, later."""
        if self._waiting or (self._is_in_turn and time.perf_counter() >= self._end):
            self.run(job, call)
        else:
            self._begin(job, call, copy_context())

    def turn_is_over(self) -> None:
        """Note that the event loop has gone round since the last calls began."""
        self._spare = None
        self._is_in_turn = False

    def _run_soon(self) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        pace = Pace()
        try:
            while self._waiting:
                self._begin(*self._waiting.popleft())
                if pace.is_over():
                    break
        finally:
            self._is_due = False
            self._run_soon()

    def _begin(self, job: Job, call: Coroutine[Any, Any, None], context: Context) -> None:
        """Run a call up to where it first waits; in its task, whatever runs now."""
        loop = asyncio.get_running_loop()
        rest, self._spare = self._spare, None
        if rest is None:
            rest = _Rest(self, loop)
            if not self._is_in_turn:
                self._is_in_turn = True
                self._end = time.perf_counter() + LONGEST_TURN
        task = job.task = rest.task
        running = asyncio.current_task(loop)
        if running is not None:
            _leave_task(loop, running)
        _enter_task(loop, task)
        try:
            waits_for = context.run(call.send, None)
        except StopIteration:
            if not task.cancelling():  # by the call itself: that is not the next one's affair
                self._spare = rest
        except asyncio.CancelledError:
            pass  # as it was told to
        else:
            rest.take(call, context, waits_for)
        finally:
            _leave_task(loop, task)
            if running is not None:
                _enter_task(loop, running)


class _Rest(Coroutine[Any, Any, None]):
    """What a task is still to do of a call that has begun: nothing, unless it has to wait."""

    __slots__ = ("_call", "_context", "_runner", "_waits_for", "task")

    def __init__(self, runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
        self._runner: Runner | None = runner
        self._call: Coroutine[Any, Any, None] | None = None
        self._context: Context
        self._waits_for: Any = None
        self.task: asyncio.Task[None] = asyncio.Task(self, loop=loop)
        """Begins in the next tick."""

    def take(self, call: Coroutine[Any, Any, None], context: Context, waits_for: Any) -> None:
        """Go on with a call, in its own context, when that for which it waits has come."""
        self._call, self._context, self._waits_for = call, context, waits_for

    def send(self, value: Any) -> Any:
        """Go on, with what was waited for."""
        if self._runner is not None:
            self._begin(self._runner)
            if self._call is None:
                raise StopIteration
            waits_for, self._waits_for = self._waits_for, None
            # It has waited for a tick, which is all it wanted, or may have been enough.
            if waits_for is not None and not (asyncio.isfuture(waits_for) and waits_for.done()):
                return waits_for
            if waits_for is not None:
                waits_for._asyncio_future_blocking = False
        assert self._call is not None  # noqa: S101  (else the task has ended)
        return self._context.run(self._call.send, value)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Go on with an error: of what was waited for, or a cancellation."""
        if self._runner is not None:
            self._begin(self._runner)
            waits_for, self._waits_for = self._waits_for, None
            # As a task does it: what is waited for is cancelled first, and then tells who waits.
            if waits_for is not None and waits_for.cancel(*getattr(error, "args", ())):
                return waits_for
        if self._call is None:
            raise error
        return self._context.run(self._call.throw, error)

    def _begin(self, runner: Runner) -> None:
        self._runner = None
        del self.task  # they hold each other
        runner.turn_is_over()

    def close(self) -> None:
        """Give up what is still to be done."""
        if self._call is not None:
            self._call.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Be awaited, as any coroutine."""
        raise NotImplementedError  # a task calls the methods above
