"""`asgi-signalr tail`: what a person sees of the backplane."""

import asyncio
import json
import os
import re
import sys
from typing import Any
from urllib.parse import urlsplit
from uuid import RFC_4122

import pytest
from asgi_signalr.__main__ import main
from asgi_signalr.backplanes import sender
from asgi_signalr.scaleout.envelopes import Delivery, encode
from asgi_signalr.scaleout.tail import at_words

from labkit.services.postgres.server import Server, without_password

PAYLOAD = encode(
    Delivery(
        "StatisticsHub",
        "all",
        (),
        (),
        {"json": b'{"type":1,"target":"updateStatistics","arguments":[{"correct":3}]}\x1e'},
    )
)
LINE = re.compile(r" +(\d+)  \d\d:\d\d:\d\d  from ([0-9a-f]{8})  (.*)")


async def tail(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asgi_signalr", "tail", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )


@pytest.fixture(
    params=[*(pytest.param(each, marks=pytest.mark.slow) for each in ("nats", "redis")), "postgresql", "sqlite"]
)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that keeps messages."""
    return str(request.param)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("instance 20", "instance 20"),
        ("Web_1.EU", "web_1.eu"),
        ("a name of more letters", "a name of more"),
        ("größe/1", "gr--e-1"),
        ("z", "z"),
        ("", None),
    ],
)
def test_a_sender_has_the_name_of_its_server(given: str, told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sender.VARIABLE, given)
    senders = {sender.new() for _ in range(100)}
    assert (len(senders), {sender.name_of(each) for each in senders}) == (100, {told})
    assert {each.variant for each in senders} == {RFC_4122}


async def test_new_messages_are_shown_as_they_arrive(stream_url: str, open_node: Any) -> None:
    process = await tail(ASGI_SIGNALR_BACKPLANE=stream_url)
    assert process.stdout
    assert process.stderr
    async with asyncio.timeout(20):
        assert re.search(rb"has no (backplane tables|stream \w+) yet.*Waiting", await process.stderr.readline())
        node = await open_node(stream_url)
        for number in (1, 2):
            await node.send(PAYLOAD)
            line = LINE.fullmatch((await process.stdout.readline()).decode().rstrip())
            assert line
            assert line.groups() == (
                str(number),
                str(node.backplane.sender)[:8],
                'StatisticsHub to all: updateStatistics({"correct":3})',
            )
    process.kill()
    await process.wait()


async def test_once_prints_what_is_there_as_one_json_document(stream_url: str, open_node: Any) -> None:
    node = await open_node(stream_url)
    for payloads in ([PAYLOAD], [PAYLOAD, b"no envelope"]):
        await node.send(payloads[-1])
        await node.has(*payloads)
    process = await tail(stream_url, "--once", "--format", "json")
    output, _ = await process.communicate()
    document = json.loads(output)
    assert (process.returncode, document["schema"]) == (0, 1)
    known, unknown = document["messages"]
    assert (known["id"], known["sender"], known["to"], known["target"], known["arguments"]) == (
        1,
        str(node.backplane.sender),
        "all",
        "updateStatistics",
        [{"correct": 3}],
    )
    assert (unknown["id"], unknown["kind"], unknown["size"]) == (2, "unknown", 11)


async def test_the_password_may_be_in_the_environment(database_url: str, open_node: Any) -> None:
    node = await open_node(database_url)
    await node.send(PAYLOAD)
    await node.has(PAYLOAD)
    url, password = without_password(database_url), urlsplit(database_url).password or ""
    output, _ = await (await tail(url, "--once", PGPASSWORD=password)).communicate()
    assert output.decode().split()[0] == "1"


async def test_the_last_messages_are_enough_if_asked(database_url: str, open_node: Any) -> None:
    node = await open_node(database_url)
    await node.send(*[PAYLOAD] * 5)
    await node.has(*[PAYLOAD] * 5)
    output, _ = await (await tail(database_url, "--once", "-n", "2")).communicate()
    assert [line.split()[0] for line in output.decode().splitlines()] == ["4", "5"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", 'database "nowhere" does not exist on '), (None, "no backplane tables")],
    ids=["no database", "no tables"],
)
def test_what_cannot_be_shown_is_said(
    postgres_server: Server,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    name: str | None,
    message: str,
) -> None:
    url = database_url if name is None else postgres_server.database_url(name)
    assert main(["tail", url, "--once"]) == 1
    assert message in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_said_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "postgresql://me:topsecret@127.0.0.1:1/signalr"]) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:1" in said
    assert "topsecret" not in said


def test_memory_has_nothing_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "memory://"]) == 1
    assert "memory:// keeps no messages" in capsys.readouterr().err


def test_a_terminal_gets_a_message_ended_at_words() -> None:
    line = (
        '    1  08:36:05  from 9bce0a26  StatisticsHub to all: updateStatistics({"correct":3,"incorrect":1,"total":4})'
    )
    assert at_words(line, 60).splitlines() == [
        "    1  08:36:05  from 9bce0a26  StatisticsHub to all:",
        '       updateStatistics({"correct":3, "incorrect":1,',
        '       "total":4})',
    ]
