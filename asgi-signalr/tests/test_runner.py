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


async def test_calls_begin_in_order_and_not_before_the_next_tick(runner: Runner) -> None:
    begun: list[int] = []

    async def call(number: int) -> None:
        begun.append(number)

    for number in range(3):
        runner.run(Job(), call(number))
    assert begun == []
    for _ in range(3):  # on a machine that is slow each takes a turn
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


async def test_one_that_is_run_now_has_begun_in_its_own_task_when_the_runner_returns(runner: Runner) -> None:
    outer, seen = asyncio.current_task(), list[asyncio.Task[None] | None]()

    async def call() -> None:
        seen.append(asyncio.current_task())

    jobs = [Job(), Job()]
    for number, job in enumerate(jobs):
        runner.run_now(job, call())
        assert seen[number:] == [job.task]
        await asyncio.sleep(0)  # there is another turn
    assert seen[0] is not outer is asyncio.current_task()


async def test_no_task_is_running_after_one_that_is_run_now_by_no_task(runner: Runner) -> None:
    seen: list[object] = []
    job = Job()

    async def call() -> None:
        seen.append(asyncio.current_task())
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    def run() -> None:
        runner.run_now(job, call())
        seen.append(asyncio.current_task())

    asyncio.get_running_loop().call_soon(run)
    await asyncio.sleep(0)
    assert job.task is not None
    await job.task
    assert seen == [job.task, None, job.task]


async def test_each_that_waits_has_a_task_of_its_own(runner: Runner) -> None:
    gate, jobs = asyncio.Event(), [Job() for _ in range(3)]
    ended: list[int] = []

    async def call(number: int) -> None:
        await gate.wait()
        ended.append(number)

    for number, job in enumerate(jobs):
        runner.run_now(job, call(number))
    while any(job.task is None for job in jobs):  # noqa: ASYNC110  (on a slow machine each takes a turn)
        await asyncio.sleep(0)
    tasks = {job.task for job in jobs if job.task is not None}
    assert len(tasks) == len(jobs)
    gate.set()
    await asyncio.wait(tasks)
    assert ended == [0, 1, 2]


async def test_a_cancellation_before_the_task_has_gone_on_reaches_what_is_waited_for(runner: Runner) -> None:
    heard: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            heard.append(f"inner {error}")
            raise

    begun = asyncio.create_task(inner())
    await asyncio.sleep(0)

    async def outer() -> None:
        try:
            await begun
        except asyncio.CancelledError:
            heard.append("outer")
            raise

    job = Job()
    runner.run_now(job, outer())
    assert job.task is not None
    job.task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await job.task
    assert heard == ["inner enough", "outer"]


async def test_one_hears_at_once_of_what_has_come_before_its_task_could_go_on(runner: Runner) -> None:
    future, heard = asyncio.get_running_loop().create_future(), list[str]()

    async def call() -> None:
        heard.append(await future)

    runner.run_now(Job(), call())
    future.set_result("it")
    await asyncio.sleep(0)
    assert heard == ["it"]


async def test_those_that_are_run_now_leave_others_their_turn_too(runner: Runner) -> None:
    begun: list[int] = []

    async def call(number: int) -> None:
        begun.append(number)
        time.sleep(TURN)  # noqa: ASYNC251  (work, for as long as a turn lasts)

    for number in range(3):
        runner.run_now(Job(), call(number))
    assert begun == [0]
    for seen in ([0, 1], [0, 1, 2]):
        await asyncio.sleep(0)
        assert begun == seen
