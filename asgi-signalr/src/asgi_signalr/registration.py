"""What is looked at when a class is served, so that a mistake is heard of there and not from a client."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from asgi_signalr.streams import is_stream


def check_event(owner: type, name: str, *arguments: str) -> None:
    """See that a method can be called when something happens to a connection.

    Raises:
        TypeError: it takes other arguments, has no `self`, or would only make a generator.

    """
    method = inspect.getattr_static(owner, name)
    if inspect.isfunction(method):
        try:
            inspect.signature(method).bind("self", *arguments)
        except TypeError:
            is_fit = False
        else:
            is_fit = not is_stream(method, None)
    else:
        is_fit = callable(method) and not isinstance(method, staticmethod)
    if not is_fit:
        usage = f"async def {name}({', '.join(('self', *arguments))})"
        raise TypeError(f"{owner.__name__}.{name} cannot be called as it will be; write {usage}: …")


def check_takes_self(method: Callable[..., Any], name: str, owner: type, where: str) -> None:
    """See that a method has a `self`: without it, its first argument would be taken for one.

    What a decorator has put in its place may call it otherwise.

    Raises:
        TypeError: it has none.

    """
    first = next(iter(inspect.signature(method).parameters.values()), None)
    if first is not None and first.kind is first.VAR_POSITIONAL:
        raise TypeError(f"{where} hides its parameters behind *{first.name}; decorate with functools.wraps.")
    is_as_written = method.__qualname__ == f"{owner.__qualname__}.{method.__name__}"
    if (
        first is None
        or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
        or (is_as_written and first.name != "self")
    ):
        raise TypeError(f"{where} does not take self; write def {name}(self, …).")


def check_members(owner: type, base: type, names: Iterable[str]) -> None:
    """See that a class leaves alone what it has from its base.

    Raises:
        TypeError: it has something else by that name.

    """
    for name in names:
        if inspect.getattr_static(owner, name, None) is not vars(base).get(name):
            raise TypeError(
                f"{owner.__name__}.{name} hides what every {base.__name__} has as self.{name}; give it another name."
            )
