"""Dependencies: parameters that a function fills, of hub constructors and hub methods.

    async def get_session() -> AsyncIterator[Session]:
        async with Session() as session:
            yield session

    class Chat(Hub):
        async def say(self, text: str, session: Annotated[Session, Depends(get_session)]) -> None: ...

The dependencies of a hub are found once, when it is registered. Any object with a `dependency` marks such a
parameter, so FastAPI's own `Depends` does, too. A dependency may have dependencies itself, and is given the
`HubCallerContext` for a parameter of that type, or Starlette's `HTTPConnection`, as FastAPI would. It can be `def`,
`async def` or a generator of either kind, which goes on after the call, or gets its error.
"""

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from asgi_signalr.context import HubCallerContext

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]
"""Functions that are called instead of dependencies, in tests."""

HTTP_CONNECTION = "starlette.requests.HTTPConnection"
OF_ROUTES = frozenset(
    (
        HTTP_CONNECTION,  # what is derived from it: Request and WebSocket
        "starlette.responses.Response",
        "starlette.background.BackgroundTasks",
        "fastapi.security.oauth2.SecurityScopes",
    )
)
"""The types by which FastAPI fills a parameter, whether it has a default or not."""
INSTEAD = f"take a {HTTP_CONNECTION} instead, which has the headers, cookies and query parameters"


@dataclass(frozen=True)
class Dependency:
    """The mark of a parameter, as `Depends` makes it."""

    dependency: Callable[..., Any] | None
    use_cache: bool


def Depends(dependency: Callable[..., Any] | None = None, *, use_cache: bool = True) -> Any:  # noqa: N802  (FastAPI's name for it)
    """Have a parameter filled by a function: `Annotated[T, Depends(function)]`, or as the parameter's default.

    Args:
        dependency: the function to call; without it the parameter's type is called.
        use_cache: whether parameters with the same dependency share one result in each call.

    """
    return Dependency(dependency, use_cache)


@dataclass(frozen=True)
class Plan:
    """How the value of a parameter is made."""

    dependency: Callable[..., Any]
    """The function that `Depends` was given."""
    call: Callable[..., Any]
    """Makes the value: the dependency, or the context manager that its generator is made."""
    kind: Literal["value", "coroutine", "context", "async context"]
    parameters: Mapping[str, "Source"]
    use_cache: bool


Source = Plan | Callable[[HubCallerContext], Any]
"""Where the value of a parameter comes from: a dependency, or the connection that calls."""


def source_of(parameter: inspect.Parameter, hint: Any, where: str) -> Source | None:
    """Find out who fills a parameter; None if it is up to whoever calls.

    Raises:
        TypeError: its dependency cannot be called, or only a route of FastAPI fills it.

    """
    if type(hint).__name__ == "TypeAliasType":  # `type Name = Annotated[…]`
        hint = hint.__value__
    marks: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *marks_ = get_args(hint)
        marks = tuple(reversed(marks_))
    for mark in (parameter.default, *marks):
        _refuse_mark(mark, parameter.name, where)
        if mark is not parameter.empty and not inspect.isclass(mark) and hasattr(mark, "dependency"):
            dependency = hint if mark.dependency is None else mark.dependency
            if not callable(dependency):
                raise TypeError(f"{where} has the dependency {dependency!r}, which cannot be called.")
            return plan_of(dependency, use_cache=getattr(mark, "use_cache", True))
    if not inspect.isclass(hint):
        return None
    if issubclass(hint, HubCallerContext):
        return lambda context: context
    if _full_name(hint) == HTTP_CONNECTION:
        connection: Callable[[Any], Any] = hint
        return lambda context: connection(context.scope)
    if not OF_ROUTES.isdisjoint(map(_full_name, hint.__mro__)):
        raise TypeError(f"{where} takes {parameter.name} as a {hint.__name__}, which only routes are given; {INSTEAD}.")
    return None


def _full_name(each: type) -> str:
    return f"{each.__module__}.{each.__qualname__}"


def _refuse_mark(mark: Any, name: str, where: str) -> None:
    """Refuse what would be no mark here: it would be the value itself, or leave the value to the client.

    Raises:
        TypeError: FastAPI reads this parameter from a request; or `Depends` was not called.

    """
    if mark is Depends or getattr(mark, "__module__", None) == "fastapi.param_functions":
        raise TypeError(f"{where} marks {name} with {mark.__name__} itself; call it: Depends(function).")
    if not hasattr(mark, "dependency") and any(each.__module__ == "fastapi.params" for each in type(mark).__mro__):
        raise TypeError(f"{where} takes {name} from {type(mark).__name__}(…), which only routes are given; {INSTEAD}.")


def plan_of(dependency: Callable[..., Any], *, use_cache: bool = True) -> Plan:
    """Find out how to call a dependency.

    Raises:
        TypeError: it needs something that nobody gives it.

    """
    parameters = sources_of(dependency)
    function = _function_of(dependency)
    if inspect.isasyncgenfunction(function):
        return Plan(dependency, asynccontextmanager(dependency), "async context", parameters, use_cache)
    if inspect.isgeneratorfunction(function):
        return Plan(dependency, contextmanager(dependency), "context", parameters, use_cache)
    kind: Literal["coroutine", "value"] = "coroutine" if inspect.iscoroutinefunction(function) else "value"
    return Plan(dependency, dependency, kind, parameters, use_cache)


def sources_of(call: Callable[..., Any]) -> dict[str, Source]:
    """Find out who fills the parameters of something that is called by nobody but this module.

    Raises:
        TypeError: it has a parameter that nobody fills.

    """
    where = getattr(call, "__qualname__", None) or repr(call)
    try:
        parameters = inspect.signature(call).parameters.values()
    except ValueError:  # written in C
        return {}
    hints = hints_of(_function_of(call), where)
    sources: dict[str, Source] = {}
    for parameter in parameters:
        source = source_of(parameter, hints.get(parameter.name, Any), where)
        if source is not None:
            sources[parameter.name] = source
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            raise TypeError(f"{where} needs {parameter.name}, which is no dependency and has no default.")
    return sources


def hints_of(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """Resolve the annotations of a function.

    Raises:
        TypeError: a name in them is not defined.

    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{where} has an annotation that cannot be resolved: {error}.") from error


def _function_of(call: Callable[..., Any]) -> Callable[..., Any]:
    """Find the function behind a class, a partial or an object that can be called."""
    while isinstance(call, functools.partial):
        call = call.func
    if inspect.isclass(call):
        call = call.__init__
    elif not inspect.isroutine(call):
        call = type(call).__call__
    function: Callable[..., Any] = inspect.unwrap(call)
    return function


class CallScope:
    """The dependencies of one call, from before it until it is over."""

    def __init__(self, context: HubCallerContext, overrides: Overrides) -> None:
        self._context = context
        self._overrides = overrides
        self._values: dict[int, Any] = {}
        self._stack: AsyncExitStack | None = None

    async def values(self, sources: Mapping[str, Source]) -> dict[str, Any]:
        """Make the values of parameters, by their names."""
        return {
            name: await self._value(source) if isinstance(source, Plan) else source(self._context)
            for name, source in sources.items()
        }

    async def _value(self, plan: Plan) -> Any:
        key = id(plan.dependency)
        if plan.use_cache and key in self._values:
            return self._values[key]
        if self._overrides and isinstance(plan.dependency, Hashable) and plan.dependency in self._overrides:
            plan = plan_of(self._overrides[plan.dependency])
        value = plan.call(**await self.values(plan.parameters))
        if plan.kind == "coroutine":
            value = await value
        elif plan.kind != "value":
            self._stack = self._stack or AsyncExitStack()
            if plan.kind == "context":
                value = self._stack.enter_context(value)
            else:
                value = await self._stack.enter_async_context(value)
        self._values[key] = value
        return value

    async def __aenter__(self) -> "CallScope":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stack is not None:
            await self._stack.__aexit__(kind, error, traceback)
