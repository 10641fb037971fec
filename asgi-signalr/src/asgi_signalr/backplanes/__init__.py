"""Backplanes join the servers of one application: what one publishes, every one of them receives, itself included.

A backplane carries bytes and looks at none of them. Its contract is three methods, `start`, `publish` and `stop`;
`memory` is the default, the test double and the reference. Two promises make it one:

* every server receives the same payloads **in one order**, its own among them, from the moment `start` returned;
* a payload accepted by `publish` is delivered or its loss is **said** (to `on_gap`), never dropped in silence.

The scheme of a URL picks the engine, and its driver is imported only then.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

Deliver = Callable[[bytes], None]
"""Takes one payload. Called on the event loop, in the stream's order, own payloads included; it does not raise."""

OnGap = Callable[[str], None]
"""Told, in a sentence, when payloads may have been lost. Called on the event loop; it does not raise."""


class BackplaneError(Exception):
    """The backplane did not accept a payload: its bounded queue is full, or it is not started."""


class Backplane(Protocol):
    """What an engine does. One instance serves one event loop."""

    async def start(self, deliver: Deliver) -> None:
        """Begin to receive; every payload goes to `deliver`.

        Returns once it receives, or has begun to retry: an unreachable server is logged and retried, not raised.
        """

    async def publish(self, payload: bytes) -> None:
        """Hand one payload to every server; returns once it is accepted.

        Raises:
            BackplaneError: the bounded queue of payloads not yet sent is full, or the backplane is not started.

        """

    async def stop(self) -> None:
        """Stop receiving and let go of every resource; accepted payloads are sent first, if that is possible soon."""


@runtime_checkable
class TellsGaps(Protocol):
    """An engine that may lose payloads, and says so."""

    on_gap: OnGap | None
    """Who is told; an application that is given such an engine wants to be told as well."""


@runtime_checkable
class TellsHealth(Protocol):
    """An engine that can be away, and says how it fares."""

    @property
    def health(self) -> dict[str, Any]:
        """Whether it `is_joined` now, how many messages are `queued`, its `lag`, its `gaps`, and the `trouble`, if any.

        The lag is how many messages are known to be stored that this server has not read yet; gaps are counted.
        """


def also_tell(backplane: Backplane, on_gap: OnGap) -> None:
    """Have somebody told of an engine's gaps, besides whom it tells already. Does nothing for one that has none."""
    if isinstance(backplane, TellsGaps):
        told = backplane.on_gap

        def tell(what: str) -> None:
            if told is not None:
                told(what)
            on_gap(what)

        backplane.on_gap = tell


# The module of each scheme, the class in it, and the extra that has its driver. The class is called with the URL and
# `on_gap`.
_ENGINES = {
    "mariadb": ("mysql", "MysqlBackplane", "mysql"),
    "memory": ("memory", "MemoryBackplane", ""),
    "mssql": ("mssql", "MssqlBackplane", "mssql"),
    "mysql": ("mysql", "MysqlBackplane", "mysql"),
    "nats": ("nats", "NatsBackplane", "nats"),
    "postgres": ("postgres", "PostgresBackplane", "postgres"),
    "postgresql": ("postgres", "PostgresBackplane", "postgres"),
    "sqlite": ("sqlite", "SqliteBackplane", "sql"),
    "tls": ("nats", "NatsBackplane", "nats"),
    "unix": ("redis", "RedisBackplane", "redis"),
    **{
        f"{store}{tls}{kind}": ("redis", "RedisBackplane", "redis")
        for store in ("redis", "valkey")
        for tls in ("", "s")
        for kind in ("", "+sentinel", "+cluster")
    },
}


def open_backplane(url: str, *, on_gap: OnGap | None = None) -> Backplane:
    """Make the backplane that a URL names: `memory://`, `postgresql://user:password@host/database` or `sqlite:///file`.

    Raises:
        ValueError: no engine has this scheme, or the URL cannot be read.
        ImportError: its driver is not installed; the message names the extra to install.

    """
    # The URL itself may hold a password, so no message repeats more of it than the scheme.
    scheme, colon, _ = url.partition("://")
    scheme = scheme.lower()
    if not colon:
        raise ValueError("The backplane's URL has no scheme, such as postgresql://, redis:// or sqlite:///.")
    if scheme not in _ENGINES:
        plain = scheme.partition("+")[0]
        instead = f" Write {plain}:// alone: the driver is chosen by itself." if plain in _ENGINES else ""
        known = ", ".join(sorted(_ENGINES))
        raise ValueError(f"No backplane has the scheme {scheme!r}; there is {known}.{instead}")
    module, name, extra = _ENGINES[scheme]
    try:
        engine: Callable[..., Backplane] = getattr(import_module(f"{__name__}.{module}"), name)
        return engine(url, on_gap=on_gap)
    except ImportError as error:
        if (error.path or "").endswith((".so", ".pyd")):  # it is there, and needs a library that is not
            raise ImportError(
                f"The driver for {scheme}:// needs a library of the system, which no package of Python brings: {error}"
            ) from error
        raise ImportError(
            f"The driver for {scheme}:// is missing ({error}): pip install 'asgi-signalr[{extra}]'"
        ) from error
