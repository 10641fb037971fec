"""One client's streams share its turn on the event loop, by time."""

import asyncio
from collections import Counter

import pytest
from asgi_signalr.transports import pace
from asgi_signalr.transports.pace import SharedTurn


async def test_streams_take_turns_as_long_as_the_turn_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TURN", 0.0)  # each look at the clock ends the turn
    turn, went_on = SharedTurn(), Counter[int]()

    async def stream(number: int) -> None:
        while True:
            await turn.next()
            went_on[number] += 1

    tasks = [asyncio.create_task(stream(number)) for number in range(50)]
    for _ in range(100):
        before = went_on.total()
        await asyncio.sleep(0)
        assert went_on.total() - before <= 1
    assert went_on.total() > 90
    assert max(went_on.values()) - min(went_on.values(), default=0) <= 1
    for task in tasks:
        task.cancel()


async def test_more_go_on_in_a_round_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TURN", 60.0)
    turn, went_on = SharedTurn(), Counter[int]()

    async def stream(number: int) -> None:
        for _ in range(100):
            await turn.next()
            went_on[number] += 1

    tasks = [asyncio.create_task(stream(number)) for number in range(50)]
    await asyncio.sleep(0)
    assert went_on.total() == 50 * 100
    await asyncio.gather(*tasks)


async def test_a_stream_that_is_cancelled_while_it_waits_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TURN", 0.0)
    turn, ended = SharedTurn(), []

    async def stream(number: int) -> None:
        for _ in range(3):
            await turn.next()
        ended.append(number)

    tasks = [asyncio.create_task(stream(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert ended == [1, 2, 3]
