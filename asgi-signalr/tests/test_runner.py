"""Calls that wait for nothing share a task; one that waits has a task, a context and an end of its own."""

import asyncio
import time
from contextvars import ContextVar

import pytest
from asgi_signalr.connections.runner import Runner
from asgi_signalr.transports.pace import TURN

name: ContextVar[str] = ContextVar("name", default="nobody")


class Job:
    task: asyncio.Task[None] | None = None


@pytest.fixture
async def runner() -> Runner:
    return Runner()


async def test_calls_begin_in_order_and_in_the_next_tick(runner: Runner) -> None:
    begun: list[int] = []

    async def call(number: int) -> None:
        begun.append(number)

    for number in range(3):
        runner.run(Job(), call(number))
    assert begun == []
    await asyncio.sleep(0)
    assert begun == [0, 1, 2]


async def test_calls_that_have_taken_a_turn_of_the_event_loop_leave_others_theirs(runner: Runner) -> None:
    begun: list[int] = []

    async def call(number: int) -> None:
        begun.append(number)
        time.sleep(TURN)  # noqa: ASYNC251  (work, for as long as a turn lasts)

    for number in range(3):
        runner.run(Job(), call(number))
    for seen in ([0], [0, 1], [0, 1, 2]):
        await asyncio.sleep(0)
        assert begun == seen


async def test_one_that_waits_keeps_its_task_and_holds_nobody_up(runner: Runner) -> None:
    gate, tasks = asyncio.Event(), {}

    async def waits() -> None:
        tasks["before"] = asyncio.current_task()
        async with asyncio.timeout(60):
            await gate.wait()
        tasks["after"] = asyncio.current_task()

    async def passes() -> None:
        tasks["other"] = asyncio.current_task()

    job = Job()
    runner.run(job, waits())
    runner.run(Job(), passes())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert job.task is not None and tasks["before"] is job.task is not tasks["other"]
    gate.set()
    await tasks["before"]
    assert tasks["after"] is job.task


async def test_each_has_a_context_of_its_own(runner: Runner) -> None:
    seen: list[str] = []

    async def call(own: str) -> None:
        seen.append(name.get())
        name.set(own)
        await asyncio.sleep(0)
        seen.append(name.get())

    name.set("caller")
    jobs = [Job(), Job()]
    for job, own in zip(jobs, ("ann", "bob"), strict=True):
        runner.run(job, call(own))
    for _ in range(4):
        await asyncio.sleep(0)
    assert sorted(seen) == ["ann", "bob", "caller", "caller"]
    assert name.get() == "caller"


async def test_a_cancellation_reaches_the_one_that_waits(runner: Runner) -> None:
    heard: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    job = Job()
    runner.run(job, waits())
    await asyncio.sleep(0)
    assert job.task is not None
    job.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job.task
    assert heard == ["cancelled"]


async def test_one_that_cancels_its_own_task_harms_no_other(runner: Runner) -> None:
    done: list[str] = []

    async def suicidal() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def call() -> None:
        await asyncio.sleep(0)
        done.append("other")

    runner.run(Job(), suicidal())
    runner.run(Job(), call())
    for _ in range(4):
        await asyncio.sleep(0)
    assert done == ["other"]
