"""The ASGI application: which request is for which hub, who may connect, and what else there is to fetch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from asgi_signalr import client
from asgi_signalr.backplanes import Backplane, open_backplane
from asgi_signalr.clients import HubContext
from asgi_signalr.context import Authorize, take_secrets
from asgi_signalr.dispatch import HubDispatcher
from asgi_signalr.endpoint import Endpoint, FindRedirect
from asgi_signalr.filters import HubFilter, checked_filters
from asgi_signalr.http import Receive, Refusal, Response, Scope, Send, headers_of, normal_path, path_of, respond
from asgi_signalr.hubs import Hub
from asgi_signalr.options import Options
from asgi_signalr.presence import PresenceFunction
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.choice import chosen
from asgi_signalr.server import Server
from asgi_signalr.transports import checked
from asgi_signalr.transports.websockets import refuse
from asgi_signalr.users import FindExpiry, FindUser

logger = logging.getLogger("asgi_signalr")

H = TypeVar("H", bound=type[Hub])
P = TypeVar("P", bound=PresenceFunction)


class SignalR:
    """An ASGI application that serves hubs: mount it in any ASGI app, or run it by itself.

    Times are in seconds, sizes in bytes; `Options` says what the other keywords mean.

    Args:
        filters: What is to happen around every call of every hub; a hub may have its own besides.
        protocols: What is spoken: `"json"`, `"messagepack"`, or an own `HubProtocol`.
        backplane: How the servers are joined: a URL such as `postgresql://host/database`, or an own engine.

    For example:

        signalr = SignalR()

        @signalr.hub("/chat")
        class Chat(Hub):
            async def say(self, text: str) -> None:
                await self.clients.all.send("said", text)

        app.mount("/signalr", signalr)

    """

    def __init__(
        self,
        *,
        keep_alive_interval: float = Options.keep_alive_interval,
        client_timeout_interval: float = Options.client_timeout_interval,
        handshake_timeout: float = Options.handshake_timeout,
        disconnect_timeout: float = Options.disconnect_timeout,
        send_timeout: float = Options.send_timeout,
        close_timeout: float = Options.close_timeout,
        group_timeout: float = Options.group_timeout,
        presence_lease: float = Options.presence_lease,
        max_message_size: int = Options.max_message_size,
        max_parallel_invocations: int = Options.max_parallel_invocations,
        max_streams_per_connection: int = Options.max_streams_per_connection,
        stream_buffer_capacity: int = Options.stream_buffer_capacity,
        max_id_length: int = Options.max_id_length,
        max_queued_bytes: int = Options.max_queued_bytes,
        allow_stateful_reconnects: bool = Options.allow_stateful_reconnects,
        stateful_reconnect_buffer_size: int = Options.stateful_reconnect_buffer_size,
        detailed_errors: bool = Options.detailed_errors,
        allowed_origins: Collection[str] = Options.allowed_origins,
        transports: Collection[str] = Options.transports,
        poll_timeout: float = Options.poll_timeout,
        minimum_negotiate_version: int = Options.minimum_negotiate_version,
        max_connections_per_user: int | None = Options.max_connections_per_user,
        max_connections_per_address: int | None = Options.max_connections_per_address,
        max_negotiated_connections: int = Options.max_negotiated_connections,
        user: FindUser | None = None,
        expires: FindExpiry | None = None,
        filters: Sequence[HubFilter] = (),
        protocols: Collection[str | HubProtocol] = ("json", "messagepack"),
        backplane: str | Backplane = "memory://",
    ) -> None:
        self.options = Options(
            keep_alive_interval=keep_alive_interval,
            client_timeout_interval=client_timeout_interval,
            handshake_timeout=handshake_timeout,
            disconnect_timeout=disconnect_timeout,
            send_timeout=send_timeout,
            close_timeout=close_timeout,
            group_timeout=group_timeout,
            presence_lease=presence_lease,
            max_message_size=max_message_size,
            max_parallel_invocations=max_parallel_invocations,
            max_streams_per_connection=max_streams_per_connection,
            stream_buffer_capacity=stream_buffer_capacity,
            max_id_length=max_id_length,
            max_queued_bytes=max_queued_bytes,
            allow_stateful_reconnects=allow_stateful_reconnects,
            stateful_reconnect_buffer_size=stateful_reconnect_buffer_size,
            detailed_errors=detailed_errors,
            allowed_origins=(allowed_origins,) if isinstance(allowed_origins, str) else allowed_origins,
            transports=checked(transports),
            poll_timeout=poll_timeout,
            minimum_negotiate_version=minimum_negotiate_version,
            max_connections_per_user=max_connections_per_user,
            max_connections_per_address=max_connections_per_address,
            max_negotiated_connections=max_negotiated_connections,
            user=user,
            expires=expires,
        )
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """What is called instead of dependencies: for tests."""
        self._filters = checked_filters(filters)
        self._protocols = chosen(protocols)
        self._endpoints: dict[str, Endpoint] = {}
        self._hubs: dict[str, type[Hub]] = {}
        self._servers: WeakKeyDictionary[asyncio.AbstractEventLoop, Server] = WeakKeyDictionary()
        self._presence: dict[str, list[PresenceFunction]] = {}
        self._on_gap: list[Callable[[str], None]] = []
        self.use_backplane(backplane)

    # Setting up.

    def hub(
        self,
        path: str,
        *,
        authorize: Authorize = False,
        transports: Collection[str] | None = None,
        redirect: FindRedirect | None = None,
        filters: Sequence[HubFilter] = (),
        presence: bool = False,
    ) -> Callable[[H], H]:
        """Serve a hub class at a path below this application.

        Args:
            path: such as `/chat`.
            authorize: who may connect. True: any signed-in user. A function is asked for each request.
            transports: the transports that this hub offers, in this order; None: those of the application.
            redirect: asked for each client that negotiates; may send it to another server, or raise a `HubException`
                whose message the client is told.
            filters: what is to happen around its calls, inside of the application's own filters.
            presence: whether to keep who is in which group on all servers, see `asgi_signalr.presence`.

        Raises:
            ValueError: the path is taken, another hub class has the same name, or there is no such transport.
            TypeError: it is no hub, has a method that clients could not call, or something is no filter.

        """
        path = normal_path(path)
        offered = checked(self.options.transports if transports is None else transports)
        if path in self._endpoints:
            raise ValueError(f"{self._endpoints[path].handler.name} is already served at {path}.")

        def serve(hub: H) -> H:
            if not (isinstance(hub, type) and issubclass(hub, Hub)):
                raise TypeError(f"{hub!r} is no subclass of Hub.")
            if self._hubs.setdefault(hub.__name__, hub) is not hub:
                raise ValueError(f"There are two hub classes named {hub.__name__}; hubs are known by their names.")
            if presence:
                self._presence[hub.__name__] = []
            around = self._filters + checked_filters(filters)
            handler = HubDispatcher(hub, authorize, self._protocols, around, self.dependency_overrides)
            self._endpoints[path] = Endpoint(handler, offered, self.options, self._server, redirect)
            return hub

        return serve

    def use_backplane(self, backplane: str | Backplane) -> None:
        """Join the servers of this application: by a URL such as `postgresql://host/database`, or one's own engine.

        Raises:
            ValueError: no engine has the URL's scheme.
            RuntimeError: there are connections already.

        """
        if any(not loop.is_closed() for loop in self._servers):
            raise RuntimeError("Choose the backplane before the first connection or message.")
        if isinstance(backplane, str):
            url = backplane
            open_backplane(url)  # a wrong URL, or a driver that is not installed, is to be heard of here
            self._open_backplane: Callable[[], Backplane] = lambda: open_backplane(url, on_gap=self._gap)
        else:
            self._open_backplane = lambda: backplane
        self._is_alone = backplane == "memory://"

    def on_backplane_gap(self, function: Callable[[str], None]) -> Callable[[str], None]:
        """Have a function called when messages of other servers may have been lost; its argument says why."""
        self._on_gap.append(function)
        return function

    def on_presence(self, hub: type[Hub]) -> Callable[[P], P]:
        """Have a function called with every `PresenceEvent` of a hub, once in the whole application; may be async.

        Raises:
            LookupError: the hub is not served here, or not with `presence=True`.

        """
        if self._hubs.get(hub.__name__) is not hub or hub.__name__ not in self._presence:
            raise LookupError(f"Presence is not kept for {hub.__name__}: serve it with presence=True.")

        def tell(function: P) -> P:
            self._presence[hub.__name__].append(function)
            return function

        return tell

    def hub_context(self, hub: type[Hub]) -> HubContext:
        """Reach a hub's clients from outside: usable anywhere on the event loop that serves them.

        Raises:
            LookupError: the hub is not served here.

        """
        if self._hubs.get(hub.__name__) is not hub:
            raise LookupError(f"{hub.__name__} is not served here; decorate it with @signalr.hub(path).")
        name = hub.__name__
        return HubContext(lambda: self._server().lifetime(name))

    # Life.

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Start with the application and stop with it; optional, usable as a framework's `lifespan`.

        Without it the backplane starts with the first connection or message, and stops with the event loop.
        """
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        """Start the backplane now instead of with the first connection or message."""
        await self._server().start()

    async def stop(self) -> None:
        """Tell every client to come back later, close the connections, and stop the backplane."""
        loop = asyncio.get_running_loop()
        server = self._servers.get(loop)
        if server is not None:
            try:
                await server.stop()
            finally:
                self._servers.pop(loop, None)

    def _server(self) -> Server:
        loop = asyncio.get_running_loop()
        server = self._servers.get(loop)
        if server is None:
            server = self._servers[loop] = Server(
                self.options, self._protocols, self._open_backplane, alone=self._is_alone, presence=self._presence
            )
        return server

    def _gap(self, reason: str) -> None:
        logger.warning("Messages of other servers may be lost: %s", reason)
        if (server := self._servers.get(asyncio.get_running_loop())) is not None:
            server.resync()
        for function in self._on_gap:
            function(reason)

    # Requests.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            endpoint = self._endpoints.get(path_of(scope))
            if endpoint is None:
                take_secrets(scope)
                await refuse(scope, receive, send, 404, "Not Found", {})
            else:
                await endpoint.serve_websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve_http(scope, receive, send)

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:  # noqa: BLE001  (the server is to print it and give up)
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_of(scope)
        if (endpoint := self._endpoints.get(path)) is not None:
            await endpoint.serve_http(scope, receive, send)
        elif path.endswith("/negotiate") and (endpoint := self._endpoints.get(normal_path(path[: -len("negotiate")]))):
            await endpoint.serve_negotiation(scope, send)
        else:
            take_secrets(scope)
            await respond(scope, send, self._serve_script(path.lstrip("/"), scope), {})

    def _serve_script(self, name: str, scope: Scope) -> Response:
        """Serve the client: kept by browsers, and asked for anew each time whether it is still this one."""
        if name not in client.SCRIPTS:
            return Refusal(404, "Not Found").response
        if scope["method"] not in ("GET", "HEAD"):
            return Refusal(405, "Method Not Allowed", Allow="GET, HEAD").response
        script = client.script(name)
        caching = {"ETag": script.etag, "Cache-Control": "public, no-cache"}
        if script.etag in headers_of(scope).get("if-none-match", ""):
            return Response(304, headers=caching)
        content = {"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return Response(200, script.body, caching | content)
