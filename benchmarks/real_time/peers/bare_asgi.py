"""The least that answers calls of SignalR on ASGI: what is asked is decoded and answered; nothing is checked or kept.

`echo` runs in a task of its own, as a method that may wait has to if nothing is known of it; `echo_at_once` does not.
"""

import asyncio
from typing import Any

import msgspec
from serving import serve


class Call(msgspec.Struct, rename="camel"):
    target: str
    arguments: list[Any]
    invocation_id: str


class Answer(msgspec.Struct, rename="camel"):
    type: int
    invocation_id: str
    result: Any


decode = msgspec.json.Decoder(Call).decode
encode = msgspec.json.Encoder().encode


async def app(_scope: Any, receive: Any, send: Any) -> None:
    async def answer(call: Call) -> None:
        text = encode(Answer(3, call.invocation_id, call.arguments[0])).decode() + "\x1e"
        await send({"type": "websocket.send", "text": text})

    await receive()
    await send({"type": "websocket.accept"})
    await receive()  # the handshake
    await send({"type": "websocket.send", "text": "{}\x1e"})
    tasks = set()
    while (event := await receive())["type"] == "websocket.receive":
        call = decode(event["text"][:-1])
        if call.target == "echo_at_once":
            await answer(call)
        else:
            task = asyncio.create_task(answer(call))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    serve(app)
