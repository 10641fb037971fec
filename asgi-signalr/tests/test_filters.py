"""Filters around the calls of a hub and around the beginning and the end of its connections."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, HubException, HubFilter, InvocationContext, LifetimeContext, SignalR, hub_method

Connect = Callable[..., Awaitable[Any]]


NO_METHOD = '"error":"Failed to invoke \'nope\' due to an error on the server. HubException: Method does not exist."'


class Noting(HubFilter):
    """Notes what passes it."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name = name
        self.log = log

    async def invoke(self, context: InvocationContext, next: Any) -> Any:
        self.log.append(f"{self.name} before {context.method_name}")
        result = await next(context)
        self.log.append(f"{self.name} after {context.method_name}")
        return result

    async def on_connected(self, context: LifetimeContext, next: Any) -> None:
        self.log.append(f"{self.name} before connected")
        await next(context)
        self.log.append(f"{self.name} after connected")

    async def on_disconnected(self, context: LifetimeContext, error: Exception | None, next: Any) -> None:
        self.log.append(f"{self.name} before disconnected")
        await next(context, error)
        self.log.append(f"{self.name} after disconnected")


async def test_filters_of_the_application_are_around_those_of_the_hub_and_the_first_is_outermost(
    connect: Connect,
) -> None:
    log: list[Any] = []
    app = SignalR(filters=[Noting("a", log), Noting("b", log)])

    @app.hub("/chat", filters=[Noting("c", log)])
    class Chat(Hub):
        async def on_connected(self) -> None:
            log.append("connected")

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append(("disconnected", error))

        def say(self) -> None:
            log.append("say")

    peer = await connect(app)
    assert await peer.call("SAY") == '{"type":3,"invocationId":"1","result":null}'
    await peer.drop()

    def around(what: str, event: Any) -> list[Any]:
        names = ("a", "b", "c")
        before = [f"{name} before {what}" for name in names]
        return [*before, event, *[f"{name} after {what}" for name in reversed(names)]]

    assert log == [
        *around("connected", "connected"),
        *around("say", "say"),
        *around("disconnected", ("disconnected", None)),
    ]


class Changing(HubFilter):
    """Changes what a method is given and what it answers, and refuses some calls."""

    async def invoke(self, context: InvocationContext, next: Any) -> Any:
        if context.arguments and context.arguments[0] == "secret":
            raise HubException(f"{context.hub_method.function.__name__} does not take that.")
        if context.arguments and context.arguments[0] == "cached":
            return "from the cache"
        if context.method_name == "add":
            context.arguments = [each * 10 for each in context.arguments]
        result = await next(context)
        return [result, context.context.user_identifier, type(context.hub).__name__]


@pytest.mark.parametrize(
    ("target", "arguments", "answer"),
    [
        ("say", ["hello"], '"result":["hello","ada","Chat"]'),
        ("say_later", ["hello"], '"result":["hello","ada","Chat"]'),
        ("add", [1, 2], '"result":[30,"ada","Chat"]'),
        ("say", ["cached"], '"result":"from the cache"'),
        (
            *("say", ["secret"]),
            '"error":"An unexpected error occurred invoking \'say\' on the server. '
            'HubException: say does not take that."',
        ),
        ("add", ["x", 1], '"error":"Failed to invoke \'add\' due to an error on the server."'),
        ("nope", [], NO_METHOD),
        ("for_nobody", [], '"error":"Failed to invoke \'for_nobody\' because user is unauthorized"'),
    ],
)
async def test_a_filter_may_change_and_refuse_calls(
    connect: Connect, target: str, arguments: list[Any], answer: str
) -> None:
    app = SignalR()

    @app.hub("/chat", filters=[Changing()])
    class Chat(Hub):
        def say(self, text: str) -> str:
            return text

        async def say_later(self, text: str) -> str:
            return text

        def add(self, a: int, b: int) -> int:
            return a + b

        @hub_method(authorize=lambda context: False)
        def for_nobody(self) -> None: ...

    peer = await connect(app, user="ada")
    assert await peer.call(target, *arguments) == '{"type":3,"invocationId":"1",' + answer + "}"


async def test_a_filter_may_wrap_a_stream(connect: Connect) -> None:
    class Doubling(HubFilter):
        async def invoke(self, context: InvocationContext, next: Any) -> Any:
            items = await next(context)

            async def doubled() -> AsyncIterator[int]:
                async for item in items:
                    yield 2 * item

            return doubled()

    app = SignalR()

    @app.hub("/chat", filters=[Doubling()])
    class Chat(Hub):
        async def numbers(self, more: AsyncIterator[int]) -> AsyncIterator[int]:
            yield 1
            async for number in more:
                yield number

    peer = await connect(app)
    peer.send('{"type":4,"target":"numbers","arguments":[],"invocationId":"1","streamIds":["2"]}\x1e')
    peer.send('{"type":2,"invocationId":"2","item":21}\x1e{"type":3,"invocationId":"2"}\x1e')
    received = ""
    while '"type":3' not in received:
        received += await peer.frame()
    assert received == (
        '{"type":2,"invocationId":"1","item":2}\x1e'
        '{"type":2,"invocationId":"1","item":42}\x1e'
        '{"type":3,"invocationId":"1"}\x1e'
    )


async def test_a_filter_may_refuse_a_connection(connect: Connect) -> None:
    log: list[Any] = []

    class Closed(HubFilter):
        async def on_connected(self, context: LifetimeContext, next: Any) -> None:
            raise HubException("full")

        async def on_disconnected(self, context: LifetimeContext, error: Exception | None, next: Any) -> None:
            log.append("disconnected")

    app = SignalR(filters=[Closed()])

    @app.hub("/chat")
    class Chat(Hub):
        async def on_connected(self) -> None:
            log.append("connected")

    peer = await connect(app)
    assert await peer.frame() == '{"type":7,"error":"Connection closed with an error. HubException: full"}\x1e'
    await peer.ended()
    assert log == []


async def test_what_a_filter_does_not_override_is_not_around_anything(connect: Connect) -> None:
    app = SignalR(filters=[HubFilter()])

    @app.hub("/chat")
    class Chat(Hub):
        def say(self) -> str:
            return "".join(["sa", "id"])

    peer = await connect(app)
    assert await peer.call("say") == '{"type":3,"invocationId":"1","result":"said"}'


@pytest.mark.parametrize("wrong", [HubFilter, object()])
def test_what_is_no_filter_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^.* is no HubFilter; pass an object of a subclass\.$"):
        SignalR(filters=[wrong])
    with pytest.raises(TypeError, match="is no HubFilter"):
        SignalR().hub("/chat", filters=[wrong])(type("Chat", (Hub,), {}))
