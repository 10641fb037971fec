"""Parameters that functions fill: of hub constructors and hub methods, with our `Depends` and with FastAPI's."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import fastapi
import fastapi.params
import pytest
from asgi_signalr import Depends, Hub, HubCallerContext, HubException, HubFilter, InvocationContext, SignalR
from fastapi.requests import HTTPConnection
from fastapi.security import SecurityScopes
from typing_extensions import TypeAliasType

Connect = Callable[..., Awaitable[Any]]


def result(value: str) -> str:
    return f'{{"type":3,"invocationId":"1","result":{value}}}'


def failed(target: str, more: str = "") -> str:
    text = f"An unexpected error occurred invoking '{target}' on the server.{more}"
    return f'{{"type":3,"invocationId":"1","error":"{text}"}}'


def plain() -> str:
    return "plain"


async def coroutine() -> str:
    return "coroutine"


def generator() -> Iterator[str]:
    yield "generator"


async def async_generator() -> AsyncIterator[str]:
    yield "async generator"


def named(context: HubCallerContext, greeting: str = "hello") -> str:
    return f"{greeting} {context.user_identifier}"


def nested(name: Annotated[str, Depends(named)], kind: Annotated[str, fastapi.Depends(coroutine)]) -> str:
    return f"{name} {kind}"


@dataclass
class Checker:
    """Can be called, and has no hash."""

    name: str

    def __call__(self, context: HubCallerContext) -> str:
        return f"{self.name} of {context.user_identifier}"


def path(connection: HTTPConnection) -> str:
    return str(connection.url.path)


class Service:
    def __init__(self, name: Annotated[str, Depends(named)]) -> None:
        self.name = name


class Depending(Hub):
    def a(self, value: Annotated[str, Depends(plain)]) -> str:
        return value

    async def b(self, value: Annotated[str, Depends(coroutine)]) -> str:
        return value

    def c(self, value: Annotated[str, Depends(generator)]) -> str:
        return value

    def d(self, value: Annotated[str, Depends(async_generator)]) -> str:
        return value

    def e(self, value: Annotated[str, Depends(named)]) -> str:
        return value

    def f(self, value: Annotated[str, Depends(nested)]) -> str:
        return value

    def g(self, value: Annotated[str, Depends(Checker("checker"))]) -> str:
        return value

    def h(self, service: Annotated[Service, Depends()]) -> str:
        return service.name

    def i(self, service: Annotated[Service, fastapi.Depends()]) -> str:
        return service.name

    def j(self, value: str = Depends(plain)) -> str:
        return value

    def k(self, value: str = fastapi.Depends(async_generator)) -> str:
        return value

    def l(self, value: Annotated[str, Depends(functools.partial(named, greeting="bye"))]) -> str:  # noqa: E743  (a short name is what is tested)
        return value

    def m(self, context: HubCallerContext) -> str | None:
        return context.user_identifier

    def n(self, value: Annotated[str, fastapi.Depends(path)]) -> str:
        return value

    def before(self, value: Annotated[str, Depends(plain)], text: str, more: str = "!") -> str:
        return value + text + more

    def between(self, text: str, value: Annotated[str, Depends(plain)], more: str = "!") -> str:
        return text + value + more

    def behind(self, text: str, *more: str, value: Annotated[str, Depends(plain)]) -> str:
        return text + "".join(more) + value


@pytest.mark.parametrize(
    ("target", "arguments", "value"),
    [
        ("a", [], "plain"),
        ("b", [], "coroutine"),
        ("c", [], "generator"),
        ("d", [], "async generator"),
        ("e", [], "hello ada"),
        ("f", [], "hello ada coroutine"),
        ("g", [], "checker of ada"),
        ("h", [], "hello ada"),
        ("i", [], "hello ada"),
        ("j", [], "plain"),
        ("k", [], "async generator"),
        ("l", [], "bye ada"),
        ("m", [], "ada"),
        ("n", [], "/chat"),
        ("before", ["x"], "plainx!"),
        ("before", ["x", "?"], "plainx?"),
        ("between", ["x", "?"], "xplain?"),
        ("behind", ["x", "y", "z"], "xyzplain"),
    ],
)
async def test_a_parameter_is_filled_and_takes_no_argument_of_the_client(
    connect: Connect, target: str, arguments: list[str], value: str
) -> None:
    app = SignalR()
    app.hub("/chat")(Depending)
    peer = await connect(app, user="ada")
    assert await peer.call(target, *arguments) == result(f'"{value}"')


async def test_a_client_cannot_fill_what_a_dependency_fills(connect: Connect) -> None:
    app = SignalR(detailed_errors=True)
    app.hub("/chat")(Depending)
    peer = await connect(app)
    text = "Failed to invoke 'a' due to an error on the server. InvalidDataException: "
    text += "Invocation provides 1 argument(s) but target expects 0."
    assert await peer.call("a", "mine") == '{"type":3,"invocationId":"1","error":"' + text + '"}'


def counting(log: list[str]) -> type[Hub]:
    def outer() -> Iterator[str]:
        log.append("outer opens")
        try:
            yield "outer"
        except ValueError as error:
            log.append(f"outer hears {error}")
            raise
        finally:
            log.append("outer closes")

    async def inner(value: Annotated[str, Depends(outer)]) -> AsyncIterator[str]:
        log.append("inner opens")
        yield f"inner of {value}"
        log.append("inner closes")

    class Counting(Hub):
        def __init__(self, inner: Annotated[str, Depends(inner)]) -> None:
            self.inner = inner

        async def on_connected(self) -> None:
            log.append("connected")

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append("disconnected")

        async def call(
            self, a: Annotated[str, Depends(outer)], b: Annotated[str, Depends(outer, use_cache=False)]
        ) -> list[str]:
            log.append("called")
            return [self.inner, a, b]

        def simple(self) -> str:
            log.append("called")
            return self.inner

        async def fail(self) -> None:
            raise ValueError("a secret")

        async def count(self, value: Annotated[str, Depends(outer)]) -> AsyncIterator[str]:
            log.append("called")
            yield value
            log.append("goes on")

    return Counting


OPENED = ["outer opens", "inner opens"]
CLOSED = ["inner closes", "outer closes"]


async def test_a_result_is_shared_in_a_call_and_generators_are_closed_behind_it(connect: Connect) -> None:
    app = SignalR()
    log: list[str] = []
    app.hub("/chat")(counting(log))
    peer = await connect(app)
    assert await peer.call("call") == result('["inner of outer","outer","outer"]')
    assert log == [
        *(*OPENED, "connected", *CLOSED),
        *(*OPENED, "outer opens", "called", "outer closes", *CLOSED),
    ]
    log.clear()
    assert await peer.call("simple") == result('"inner of outer"')
    assert log == [*OPENED, "called", *CLOSED]
    log.clear()
    await peer.drop()
    assert log == [*OPENED, "disconnected", *CLOSED]


async def test_a_generator_hears_of_an_error(connect: Connect) -> None:
    app = SignalR()
    log: list[str] = []
    app.hub("/chat")(counting(log))
    peer = await connect(app)
    log.clear()
    assert await peer.call("fail") == failed("fail")
    assert log == [*OPENED, "outer hears a secret", "outer closes"]


async def test_a_generator_is_open_as_long_as_a_stream(connect: Connect) -> None:
    app = SignalR()
    log: list[str] = []
    app.hub("/chat")(counting(log))
    peer = await connect(app)
    log.clear()
    peer.send('{"type":4,"target":"count","arguments":[],"invocationId":"1"}\x1e')
    received = ""
    while '"type":3' not in received:
        received += await peer.frame()
    assert received == '{"type":2,"invocationId":"1","item":"outer"}\x1e{"type":3,"invocationId":"1"}\x1e'
    assert log == [*OPENED, "called", "goes on", *CLOSED]


async def test_an_error_in_a_dependency_is_an_error_of_the_call(connect: Connect) -> None:
    app = SignalR()

    def refuse() -> None:
        raise HubException("not you")

    def spoil() -> Iterator[None]:
        yield
        raise HubException("not saved")

    @app.hub("/chat")
    class Refusing(Hub):
        def before(self, value: Annotated[None, Depends(refuse)]) -> None: ...

        def behind(self, value: Annotated[None, Depends(spoil)]) -> None: ...

    peer = await connect(app)
    assert await peer.call("before") == failed("before", " HubException: not you")
    assert await peer.call("behind") == failed("behind", " HubException: not saved")


async def test_a_dependency_of_a_constructor_may_refuse_a_connection(connect: Connect) -> None:
    app = SignalR()

    def refuse() -> None:
        raise HubException("not you")

    @app.hub("/chat")
    class Refusing(Hub):
        def __init__(self, value: Annotated[None, Depends(refuse)]) -> None: ...

    peer = await connect(app)
    assert await peer.frame() == '{"type":7,"error":"Connection closed with an error. HubException: not you"}\x1e'


async def test_a_dependency_can_be_replaced_in_tests(connect: Connect) -> None:
    app = SignalR()
    app.hub("/chat")(Depending)
    peer = await connect(app, user="ada")

    def instead(kind: Annotated[str, Depends(coroutine)]) -> Iterator[str]:
        yield f"instead of plain, {kind}"

    app.dependency_overrides[plain] = instead
    app.dependency_overrides[named] = lambda: "somebody"
    assert await peer.call("a") == result('"instead of plain, coroutine"')
    assert await peer.call("f") == result('"somebody coroutine"')
    app.dependency_overrides.clear()
    assert await peer.call("a") == result('"plain"')


async def test_a_filter_sees_the_dependencies_of_a_call(connect: Connect) -> None:
    class Upper(HubFilter):
        async def invoke(self, context: InvocationContext, next: Any) -> Any:
            context.keywords = {name: value.upper() for name, value in context.keywords.items()}
            return await next(context)

    app = SignalR()
    app.hub("/chat", filters=[Upper()])(Depending)
    peer = await connect(app, user="ada")
    assert await peer.call("between", "x") == result('"xPLAIN!"')


def test_what_nobody_fills_is_refused_at_once() -> None:
    def needs(request: int) -> int:
        return request

    def unresolved(value: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821  (that it is missing is what is tested)

    class Constructor(Hub):
        def __init__(self, name: str) -> None: ...

    class Method(Hub):
        def say(self, value: Annotated[int, Depends(needs)]) -> None: ...

    class Unresolved(Hub):
        def say(self, value: Annotated[int, Depends(unresolved)]) -> None: ...

    class NotCallable(Hub):
        def say(self, value: Annotated[int, Depends("x")]) -> None: ...

    here = "test_what_nobody_fills_is_refused_at_once.<locals>."
    for hub, said in (
        (Constructor, here + "Constructor needs name, which is no dependency and has no default."),
        (Method, here + "needs needs request, which is no dependency and has no default."),
        (Unresolved, here + "unresolved has an annotation that cannot be resolved: name 'Missing' is not defined."),
        (NotCallable, "NotCallable.say has the dependency 'x', which cannot be called."),
    ):
        with pytest.raises(TypeError) as caught:
            SignalR().hub("/chat")(hub)
        assert str(caught.value) == said


def key(connection: HTTPConnection) -> str:
    return connection.headers["x-key"]


Key = TypeAliasType("Key", Annotated[str, Depends(key)])


async def test_an_alias_of_a_marked_type_is_no_argument_of_the_client(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Aliased(Hub):
        def key(self, key: Key) -> str:
            return key

    peer = await connect(app, headers={"x-key": "secret"})
    assert await peer.call("key") == result('"secret"')


def by_default(x_key: str | None = fastapi.Header(None)) -> str | None:
    return x_key


def by_annotation(key: Annotated[str | None, fastapi.Cookie()] = None) -> str | None:
    return key


class OwnHeader(fastapi.params.Header):  # type: ignore[misc]
    """A header of one's own."""


@pytest.mark.parametrize("mark", ["Query", "Path", "Header", "Cookie", "Body", "Form", "File"])
def test_what_only_routes_of_fastapi_read_is_refused(mark: str) -> None:
    default = getattr(fastapi, mark)()

    def marked(value: Any = default) -> Any:
        return value

    assert refusal_of(Annotated[Any, Depends(marked)]) == from_route(
        f"test_what_only_routes_of_fastapi_read_is_refused.<locals>.marked takes value from {mark}(…)"
    )


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Annotated[str, fastapi.Depends(by_default)], "by_default takes x_key from Header(…)"),
        (Annotated[str, fastapi.Security(by_annotation, scopes=["a"])], "by_annotation takes key from Cookie(…)"),
        (Annotated[str, fastapi.Header()], "Marked.say takes value from Header(…)"),
        (Annotated[str, OwnHeader()], "Marked.say takes value from OwnHeader(…)"),
        (fastapi.Request, "Marked.say takes value as a Request"),
        (fastapi.WebSocket, "Marked.say takes value as a WebSocket"),
        (fastapi.Response, "Marked.say takes value as a Response"),
        (fastapi.BackgroundTasks, "Marked.say takes value as a BackgroundTasks"),
        (SecurityScopes, "Marked.say takes value as a SecurityScopes"),
    ],
)
def test_what_only_routes_of_fastapi_are_given_is_refused(annotation: Any, said: str) -> None:
    assert refusal_of(annotation) == from_route(said)


@pytest.mark.parametrize("mark", [Depends, fastapi.Depends, fastapi.Header])
def test_a_mark_that_was_not_called_is_refused(mark: Any) -> None:
    said = f"Marked.say marks value with {mark.__name__} itself; call it: Depends(function)."
    assert refusal_of(Annotated[str, mark]) == said


def refusal_of(annotation: Any) -> str:
    class Marked(Hub):
        def say(self, value: Any = None) -> None: ...

    Marked.say.__annotations__["value"] = annotation
    with pytest.raises(TypeError) as caught:
        SignalR().hub("/chat")(Marked)
    return str(caught.value)


def from_route(said: str) -> str:
    return (
        f"{said}, which only routes are given; take a starlette.requests.HTTPConnection instead, "
        "which has the headers, cookies and query parameters."
    )
