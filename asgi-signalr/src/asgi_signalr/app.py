"""The ASGI application: which request is for which hub, who may connect, and what else there is to fetch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import msgspec

from asgi_signalr import client, scripts, status
from asgi_signalr.backplanes import Backplane, also_tell, open_backplane
from asgi_signalr.clients import HubContext
from asgi_signalr.connection import ConnectionHandler
from asgi_signalr.context import Authorize, checked_rule, take_secrets
from asgi_signalr.conversation import HubConversation
from asgi_signalr.endpoint import Endpoint, FindRedirect
from asgi_signalr.filters import HubFilter, checked_filters
from asgi_signalr.http import Receive, Refusal, Response, Scope, Send, normal_path, path_of, respond
from asgi_signalr.hubs import Hub
from asgi_signalr.options import Options
from asgi_signalr.outbox import SlowClientPolicy
from asgi_signalr.persistent import ConnectionContext, ConnectionDispatcher, PersistentConnection
from asgi_signalr.presence import PresenceFunction
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.choice import chosen
from asgi_signalr.refusals import LONGEST, RefusalLog
from asgi_signalr.server import Server
from asgi_signalr.transports import checked
from asgi_signalr.transports.websockets import refuse
from asgi_signalr.users import FindExpiry, FindIdentifier, FindUser

logger = logging.getLogger("asgi_signalr")

H = TypeVar("H", bound=type[Hub])
C = TypeVar("C", bound=type[PersistentConnection])
P = TypeVar("P", bound=PresenceFunction)

# What paths have in frameworks that take parameters from them, and in URLs behind the path.
PARAMETERS = frozenset("{}<>?#")


class SignalR:
    """An ASGI application that serves hubs: mount it in any ASGI app, or run it by itself.

    Times are in seconds, sizes in bytes; `Options` says what the other keywords mean.

    Args:
        filters: What is to happen around every call of every hub; a hub may have its own besides.
        status_path: Where the status is served, as JSON, such as `/healthz`; to anybody who can reach it.
        protocols: What is spoken: `"json"`, `"messagepack"`, or an own `HubProtocol`.
        backplane: How the servers are joined: a URL such as `postgresql://host/database`, or an own engine.

    Raises:
        ValueError: a keyword is given what it cannot be; the message says what it can.
        TypeError: something is no filter, no protocol or no backplane.

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
        max_groups_per_connection: int = Options.max_groups_per_connection,
        stream_buffer_capacity: int = Options.stream_buffer_capacity,
        max_id_length: int = Options.max_id_length,
        max_queued_bytes: int = Options.max_queued_bytes,
        slow_client_policy: SlowClientPolicy = Options.slow_client_policy,
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
        user_identifier: FindIdentifier | None = None,
        expires: FindExpiry | None = None,
        filters: Sequence[HubFilter] = (),
        protocols: Collection[str | HubProtocol] = ("json", "messagepack"),
        backplane: str | Backplane = "memory://",
        status_path: str | None = None,
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
            max_groups_per_connection=max_groups_per_connection,
            stream_buffer_capacity=stream_buffer_capacity,
            max_id_length=max_id_length,
            max_queued_bytes=max_queued_bytes,
            slow_client_policy=slow_client_policy,
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
            user_identifier=user_identifier,
            expires=expires,
        )
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """What is called instead of dependencies: for tests."""
        self._filters = checked_filters(filters)
        self._protocols = chosen(protocols)
        if status_path is not None and not isinstance(status_path, str):
            raise ValueError(f"status_path has to be a path such as '/healthz', or None, not {status_path!r}.")
        self._status_path = None if status_path is None else normal_path(status_path)
        self._endpoints: dict[str, Endpoint] = {}
        self._refusals = RefusalLog()
        self._served: dict[str, type] = {}
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
            ValueError: the path is taken (by a script of the client, for example) or has parameters, another hub class
                has the same name, or there is no such transport.
            TypeError: it is no hub, has a method that clients or the library could not call, or an argument is not
                what it should be.

        """

        def serve(hub: H) -> H:
            if not (isinstance(hub, type) and issubclass(hub, Hub)):
                raise TypeError(f"{hub!r} is no subclass of Hub.")
            around = self._filters + checked_filters(filters)
            handler = HubConversation(hub, authorize, self._protocols, around, self.dependency_overrides, self.options)
            self._serve(path, hub, handler, self.options, transports, redirect)
            if presence:
                self._presence.setdefault(hub.__name__, [])
            return hub

        self._check("hub", path, authorize, transports, redirect)
        return serve

    def connection(
        self,
        path: str,
        *,
        authorize: Authorize = False,
        transports: Collection[str] | None = None,
        redirect: FindRedirect | None = None,
    ) -> Callable[[C], C]:
        """Serve a persistent connection at a path below this application: a protocol of one's own instead of a hub.

        Args:
            path: such as `/echo`.
            authorize: who may connect, see `hub`.
            transports: the transports that it offers, see `hub`.
            redirect: asked for each client that negotiates, see `hub`.

        Raises:
            ValueError: the path is taken or has parameters, another class has the same name, or there is no such
                transport.
            TypeError: it is no persistent connection, has a method that the library could not call, or an argument is
                not what it should be.

        """

        def serve(endpoint: C) -> C:
            if not (isinstance(endpoint, type) and issubclass(endpoint, PersistentConnection)):
                raise TypeError(f"{endpoint!r} is no subclass of PersistentConnection.")
            handler = ConnectionDispatcher(endpoint, authorize)
            # What makes a reconnect stateful are messages that are numbered: a hub's.
            options = replace(self.options, allow_stateful_reconnects=False)
            self._serve(path, endpoint, handler, options, transports, redirect)
            return endpoint

        self._check("connection", path, authorize, transports, redirect)
        return serve

    def _check(
        self,
        decorator: str,
        path: str,
        authorize: Authorize,
        transports: Collection[str] | None,
        redirect: FindRedirect | None,
    ) -> None:
        """See that something can be served like this, before it is known what."""
        if not isinstance(path, str):
            raise TypeError(f"A path is wanted, not {path!r}: write @signalr.{decorator}('/chat').")
        if not PARAMETERS.isdisjoint(path):
            raise ValueError(
                f"The path {path!r} has parameters. A client may give such a thing as an argument of a method, or in "
                "its query string: self.context.query."
            )
        checked_rule(authorize)
        if redirect is not None and not callable(redirect):
            raise TypeError(f"redirect is a function that returns Redirect(url) or None, not {redirect!r}.")
        checked(self.options.transports if transports is None else transports)
        for address in (normal_path(path), normal_path(f"{path}/negotiate")):
            if (served := self._served_at(address)) is not None:
                raise ValueError(f"{served} is already served at {address}.")

    def _served_at(self, path: str) -> str | None:
        """Name what is at an address already."""
        if path == self._status_path:
            return "The status"
        if path.lstrip("/") in client.SCRIPTS:
            return "The official client"
        for hub, endpoint in self._endpoints.items():
            if path == hub:
                return endpoint.handler.name
            if path == f"{hub.rstrip('/')}/negotiate":
                return f"The negotiation of {endpoint.handler.name}"
        return None

    def _serve(
        self,
        path: str,
        served: type,
        handler: ConnectionHandler,
        options: Options,
        transports: Collection[str] | None,
        redirect: FindRedirect | None,
    ) -> None:
        name = served.__name__
        if self._served.setdefault(name, served) is not served:
            raise ValueError(f"There are two hub classes named {name}; hubs are known by their names.")
        offered = checked(self.options.transports if transports is None else transports)
        self._endpoints[normal_path(path)] = Endpoint(handler, offered, options, self._server, self._refusals, redirect)

    def use_backplane(self, backplane: str | Backplane) -> None:
        """Join the servers of this application: by a URL such as `postgresql://host/database`, or one's own engine.

        Raises:
            ValueError: no engine has the URL's scheme.
            TypeError: it is neither a URL nor an engine.
            RuntimeError: there are connections already.

        """
        if any(not loop.is_closed() for loop in self._servers):
            raise RuntimeError("Choose the backplane before the first connection or message.")
        if isinstance(backplane, str):
            url = backplane
            open_backplane(url)  # a wrong URL, or a driver that is not installed, is to be heard of here
            self._open_backplane: Callable[[], Backplane] = lambda: open_backplane(url, on_gap=self._gap)
        elif isinstance(backplane, type) or not all(hasattr(backplane, name) for name in ("start", "publish", "stop")):
            raise TypeError(
                "A backplane is a URL such as 'postgresql://host/database', or an object with start, publish and stop, "
                f"not {backplane!r}."
            )
        else:
            also_tell(backplane, self._gap)
            self._open_backplane = lambda: backplane
        self._is_alone = backplane == "memory://"
        self._reaches_other_loops = not (isinstance(backplane, str) and urlsplit(backplane).scheme == "memory")

    def on_backplane_gap(self, function: Callable[[str], None]) -> Callable[[str], None]:
        """Have a function called when messages of other servers may have been lost; its argument says why."""
        self._on_gap.append(function)
        return function

    def on_presence(self, hub: type[Hub]) -> Callable[[P], P]:
        """Have a function called with every `PresenceEvent` of a hub, once in the whole application; may be async.

        Raises:
            LookupError: the hub is not served here, or not with `presence=True`.
            TypeError: it is no class.

        """
        _check_class(hub, "on_presence(Chat)")
        if self._served.get(hub.__name__) is not hub or hub.__name__ not in self._presence:
            raise LookupError(f"Presence is not kept for {hub.__name__}: serve it with presence=True.")

        def tell(function: P) -> P:
            self._presence[hub.__name__].append(function)
            return function

        return tell

    def hub_context(self, hub: type[Hub]) -> HubContext:
        """Reach a hub's clients from outside: usable anywhere on the event loop that serves them.

        A `def` endpoint of FastAPI runs in a thread: `anyio.from_thread.run(chat.clients.all.send, "said", text)`.

        Raises:
            LookupError: the hub is not served here.
            TypeError: it is no class.

        """
        _check_class(hub, "hub_context(Chat)")
        if self._served.get(hub.__name__) is not hub:
            raise LookupError(f"{hub.__name__} is not served here; decorate it with @signalr.hub(path).")
        name = hub.__name__
        return HubContext(lambda: self._server_to_send().lifetime(name))

    def connection_context(self, endpoint: type[PersistentConnection]) -> ConnectionContext:
        """Reach a persistent connection's clients from outside: usable anywhere on the event loop that serves them.

        Raises:
            LookupError: it is not served here.
            TypeError: it is no class.

        """
        _check_class(endpoint, "connection_context(Echo)")
        if self._served.get(endpoint.__name__) is not endpoint:
            raise LookupError(f"{endpoint.__name__} is not served here; decorate it with @signalr.connection(path).")
        name = endpoint.__name__
        return ConnectionContext(lambda: self._server_to_send().lifetime(name))

    def script_tag(self, url: str = "/signalr/signalr.min.js") -> str:
        """Write the tag by which a page loads a script of the official client from here, pinned to its very bytes.

        Args:
            url: where this application serves the script: below the path at which it is mounted.

        Raises:
            LookupError: there is no such script.

        """
        return scripts.pinned_tag(url)

    def status(self) -> dict[str, Any]:
        """Report how this application fares on this server, as `asgi_signalr.status.report` says; JSON-ready."""
        return status.report(self._servers.get(asyncio.get_running_loop()))

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
        """Find the server of this event loop, for what is served here."""
        server = self._server_here()
        server.is_served = True
        return server

    def _server_to_send(self) -> Server:
        """Find the server of this event loop, for what is sent from outside of hubs.

        Raises:
            RuntimeError: all clients are on another event loop, and nothing would reach them.

        """
        server = self._server_here()
        if not (server.is_served or self._reaches_other_loops) and any(
            loop.is_running() and other.has_clients for loop, other in tuple(self._servers.items())
        ):
            raise RuntimeError(
                "The clients are connected on another event loop, which nothing that is sent on this one reaches. From "
                "a def endpoint or another thread of the framework's: anyio.from_thread.run(chat.clients.all.send, "
                "'said', 'hello'). From anywhere else: asyncio.run_coroutine_threadsafe(chat.clients.all.send('said', "
                "'hello'), loop), with the event loop of the server."
            )
        return server

    def _server_here(self) -> Server:
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
            try:
                function(reason)
            except Exception:  # whatever it is: the backplane has to go on
                logger.exception("A function that is told of gaps failed.")

    # Requests.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            endpoint = self._endpoints.get(path_of(scope))
            if endpoint is None:
                take_secrets(scope)
                refusal = self._no_hub(path_of(scope))
                self._refusals.note(scope, refusal)
                await refuse(scope, receive, send, refusal.status, refusal.text, {})
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
            await endpoint.serve_negotiation(scope, receive, send)
        else:
            query = take_secrets(scope)
            await respond(scope, send, self._answer(path, scope, query), {})

    def _no_hub(self, path: str) -> Refusal:
        there_are = ", ".join(self._endpoints) or "no hubs at all"
        return Refusal(
            404,
            "Not Found",
            advice=f"A client asked for a hub at {path[:LONGEST]!a}. There are: {there_are} "
            "(where the application is mounted under a prefix, without that prefix).",
        )

    def _answer(self, path: str, scope: Scope, query: Mapping[str, str]) -> Response:
        """Answer a request for something else than a hub: a script, or the status."""
        try:
            if path.endswith("/negotiate"):
                raise self._no_hub(path.removesuffix("/negotiate"))
            if path != self._status_path:
                return scripts.serve(path.lstrip("/"), scope, query)
            if scope["method"] not in ("GET", "HEAD"):
                raise Refusal(405, "Method Not Allowed", Allow="GET, HEAD")
        except Refusal as refusal:
            self._refusals.note(scope, refusal)
            return refusal.response
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return Response(200, msgspec.json.encode(self.status()), headers)


def _check_class(given: type, usage: str) -> None:
    if not isinstance(given, type):
        raise TypeError(f"The class itself is wanted, not {given!r}: write signalr.{usage}.")
