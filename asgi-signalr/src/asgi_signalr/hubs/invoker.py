"""Makes hubs and calls them: their constructors' and methods' dependencies, and the filters around it."""

from collections.abc import Mapping, Sequence
from typing import Any

from asgi_signalr.connections import turns
from asgi_signalr.dependencies import CallScope, Overrides, Source, sources_of
from asgi_signalr.filters import (
    HubFilter,
    InvocationContext,
    LifetimeContext,
    around_connected,
    around_disconnected,
    around_invoke,
)
from asgi_signalr.hubs import Hub
from asgi_signalr.hubs.connection import HubConnection
from asgi_signalr.hubs.methods import HubMethod


class HubInvoker:
    """Calls one hub class.

    Raises:
        TypeError: its constructor needs something that nobody gives it.

    """

    def __init__(self, hub: type[Hub], filters: Sequence[HubFilter], overrides: Overrides) -> None:
        self.hub = hub
        self._overrides = overrides
        self._sources: Mapping[str, Source] = sources_of(hub)
        self._invoke = around_invoke(filters, _call)
        self.may_wait = self._invoke is not _call or bool(self._sources)
        """Whether every call may have to wait for something besides its method."""
        self._connected = around_connected(filters, _connected)
        self._disconnected = around_disconnected(filters, _disconnected)

    # Methods.

    def hub_for(self, connection: HubConnection) -> Hub:
        """Make a hub that has no dependencies."""
        hub = self.hub()
        hub._hub_connection = connection
        return hub

    def call(self, connection: HubConnection, method: HubMethod, arguments: list[Any]) -> Any:
        """Call a method that has neither filters nor dependencies. What it returns may have to be awaited."""
        return method.call(self.hub_for(connection), arguments, {})

    async def call_within(
        self,
        scope: CallScope,
        connection: HubConnection,
        method: HubMethod,
        arguments: list[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Call a method, with its dependencies and through the filters, and wait for what it returns."""
        hub = await self._make(scope, connection)
        values = {**keywords, **await scope.values(method.sources)}
        return await self._invoke(
            InvocationContext(connection.context, hub, method.name, method, list(arguments), values)
        )

    def scope(self, connection: HubConnection) -> CallScope:
        """Make the place for the dependencies of one call."""
        return CallScope(connection.context, self._overrides)

    # The connection's own events.

    async def connected(self, connection: HubConnection) -> None:
        """Tell a hub that a connection begins."""
        with turns.refused(connection.id):
            async with self.scope(connection) as scope:
                await self._connected(LifetimeContext(connection.context, await self._make(scope, connection)))

    async def disconnected(self, connection: HubConnection, error: Exception | None) -> None:
        """Tell a hub that a connection has ended."""
        async with self.scope(connection) as scope:
            context = LifetimeContext(connection.context, await self._make(scope, connection))
            await self._disconnected(context, error)

    async def _make(self, scope: CallScope, connection: HubConnection) -> Hub:
        values = await scope.values(self._sources) if self._sources else {}
        hub = self.hub(**values)
        hub._hub_connection = connection
        return hub


async def _call(context: InvocationContext) -> Any:
    value = context.hub_method.call(context.hub, context.arguments, context.keywords)
    return await value if is_to_be_awaited(value) else value


async def _connected(context: LifetimeContext) -> None:
    await settle(context.hub.on_connected())


async def _disconnected(context: LifetimeContext, error: Exception | None) -> None:
    await settle(context.hub.on_disconnected(error))


def is_to_be_awaited(value: Any) -> bool:
    """Say whether a method has returned something that is still to come: `async def`, or `def` that passes one on."""
    return hasattr(value, "__await__") and not hasattr(value, "__aiter__")


async def settle(value: Any) -> None:
    """Wait until an application's function has done what it was told to: it may be `def` or `async def`."""
    if is_to_be_awaited(value):
        await value
