"""The ASGI application: which request is for which hub, who may connect, and what else there is to fetch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from asgi_signalr import client, negotiate, origins
from asgi_signalr.backplanes import Backplane, open_backplane
from asgi_signalr.clients import HubContext
from asgi_signalr.connection import HubConnection
from asgi_signalr.context import Authorize, HubCallerContext, is_authorized, take_secrets
from asgi_signalr.dispatch import HubDispatcher
from asgi_signalr.hubs import Hub
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.server import Negotiated, Server
from asgi_signalr.transports.websockets import WebSocketTransport, refuse
from asgi_signalr.users import FindUser, find_user, identifier

logger = logging.getLogger("asgi_signalr")

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

H = TypeVar("H", bound=type[Hub])

PROTOCOLS: Mapping[str, HubProtocol] = {"json": JsonHubProtocol()}


class Refusal(Exception):  # noqa: N818  (an answer, no error)
    """A request that is not served, and what it is told."""

    def __init__(self, status: int, text: str = "", **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class SignalR:
    """An ASGI application that serves hubs: mount it in any ASGI app, or run it by itself.

    Times are in seconds, sizes in bytes; `Options` says what each keyword means.

    Example::

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
        max_message_size: int = Options.max_message_size,
        max_queued_bytes: int = Options.max_queued_bytes,
        detailed_errors: bool = Options.detailed_errors,
        allowed_origins: Collection[str] = Options.allowed_origins,
        minimum_negotiate_version: int = Options.minimum_negotiate_version,
        user: FindUser | None = None,
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
            max_message_size=max_message_size,
            max_queued_bytes=max_queued_bytes,
            detailed_errors=detailed_errors,
            allowed_origins=(allowed_origins,) if isinstance(allowed_origins, str) else allowed_origins,
            minimum_negotiate_version=minimum_negotiate_version,
            user=user,
        )
        self._hubs: dict[str, HubDispatcher] = {}
        self._servers: WeakKeyDictionary[asyncio.AbstractEventLoop, Server] = WeakKeyDictionary()
        self._on_gap: list[Callable[[str], None]] = []
        self.use_backplane(backplane)

    # Setting up.

    def hub(self, path: str, *, authorize: Authorize = False) -> Callable[[H], H]:
        """Serve a hub class at a path below this application.

        Args:
            path: such as `/chat`.
            authorize: who may connect. True: any signed-in user. A function is asked for each connection.

        Raises:
            ValueError: the path is taken, or another hub class has the same name.
            TypeError: it is no hub, or has a method that clients could not call.

        """
        path = _normal(path)
        if path in self._hubs:
            raise ValueError(f"{self._hubs[path].name} is already served at {path}.")

        def serve(hub: H) -> H:
            if not (isinstance(hub, type) and issubclass(hub, Hub)):
                raise TypeError(f"{hub!r} is no subclass of Hub.")
            for other in self._hubs.values():
                if other.name == hub.__name__ and other.hub is not hub:
                    raise ValueError(f"There are two hub classes named {hub.__name__}; hubs are known by their names.")
            self._hubs[path] = HubDispatcher(hub, authorize, PROTOCOLS)
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

    def hub_context(self, hub: type[Hub]) -> HubContext:
        """Reach a hub's clients from outside: usable anywhere on the event loop that serves them.

        Raises:
            LookupError: the hub is not served here.

        """
        if not any(each.hub is hub for each in self._hubs.values()):
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
        server = self._servers.pop(asyncio.get_running_loop(), None)
        if server is not None:
            await server.stop()

    def _server(self) -> Server:
        loop = asyncio.get_running_loop()
        server = self._servers.get(loop)
        if server is None:
            server = self._servers[loop] = Server(self.options, PROTOCOLS, self._open_backplane, alone=self._is_alone)
        return server

    def _gap(self, reason: str) -> None:
        logger.warning("Messages of other servers may be lost: %s", reason)
        for function in self._on_gap:
            function(reason)

    # Requests.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
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

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            connection, dispatcher, token = await self._open(scope, WebSocketTransport(receive, send))
        except Refusal as refusal:
            await refuse(scope, receive, send, refusal.status, refusal.text, refusal.headers)
            return
        server = self._server()
        try:
            await server.start()
            transport = connection.transport
            if isinstance(transport, WebSocketTransport) and await transport.accept():
                server.opened(connection)
                await dispatcher.run(connection)
        finally:
            server.closed(connection, token)

    async def _open(
        self, scope: Scope, transport: WebSocketTransport
    ) -> tuple[HubConnection, HubDispatcher, str | None]:
        """Make the connection that a request asks for: one that was negotiated, or a new one.

        Raises:
            Refusal: there is no such hub or connection, or it is not for this user.

        """
        headers = _headers(scope)
        # Before the tokens are taken out: an application may look for its user in the query string.
        user = await find_user(scope, self.options.user)
        query = take_secrets(scope)
        dispatcher = self._hubs.get(_path(scope))
        if dispatcher is None:
            raise Refusal(404, "Not Found")
        self._check_origin(headers)
        token = query.get("id") or None
        server = self._server()
        entry = None
        if token is not None:
            entry = self._negotiated(server, dispatcher, token)
            if entry.user_identifier != identifier(user):
                raise Refusal(403, "This connection was negotiated by another user.")
            if entry.transport is not None:
                raise Refusal(409)
        connection_id = entry.connection_id if entry else negotiate.new_identity(1).connection_id
        context = HubCallerContext(connection_id, scope, user, identifier(user), dispatcher.name)
        await self._check_user(dispatcher, context)
        if entry is not None:
            if entry.transport is not None:  # opened a second time while the first one was being authorized
                raise Refusal(409)
            entry.transport = transport.name
        lifetime = server.lifetime(dispatcher.name)
        return HubConnection(context, transport, lifetime, self.options, server.flusher), dispatcher, token

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        cors = origins.cors_headers(headers, self.options.allowed_origins)
        try:
            status, body, more = await self._respond(scope, headers)
        except Refusal as refusal:
            status, body, more = refusal.status, refusal.text.encode(), {"Content-Type": "text/plain"} | refusal.headers
        await _respond(send, status, body if scope["method"] != "HEAD" else b"", cors | more, length=len(body))

    async def _respond(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Answer an HTTP request.

        Raises:
            Refusal: it is not served.

        """
        path, method = _path(scope), scope["method"]
        user = await find_user(scope, self.options.user)
        query = take_secrets(scope)
        if path.lstrip("/") in client.SCRIPTS:
            return self._serve_script(path.lstrip("/"), method, headers)
        dispatcher = self._hubs.get(path)
        to_negotiate = None
        if path.endswith("/negotiate"):
            to_negotiate = self._hubs.get(path.removesuffix("/negotiate") or "/")
        if dispatcher is None and to_negotiate is None:
            raise Refusal(404, "Not Found")
        self._check_origin(headers)
        if method == "OPTIONS":
            return 204, b"", dict(origins.PREFLIGHT)
        if to_negotiate is not None:
            if method != "POST":
                raise Refusal(405, "Method Not Allowed", Allow="POST")
            return 200, await self._negotiate(scope, to_negotiate, user, query), {"Content-Type": "application/json"}
        assert dispatcher is not None  # noqa: S101  (one of the two is there)
        raise self._refusal(dispatcher, method, query, headers)

    async def _negotiate(
        self, scope: Scope, dispatcher: HubDispatcher, user: object | None, query: Mapping[str, str]
    ) -> bytes:
        try:
            version = negotiate.requested_version(query, self.options.minimum_negotiate_version)
        except negotiate.NegotiateError as error:
            return msgspec.json.encode({"error": str(error)})
        identity = negotiate.new_identity(version)
        name = identifier(user)
        await self._check_user(dispatcher, HubCallerContext(identity.connection_id, scope, user, name, dispatcher.name))
        now = asyncio.get_running_loop().time()
        self._server().negotiate(identity.token, Negotiated(identity.connection_id, dispatcher.name, name, now))
        return msgspec.json.encode(negotiate.answer(version, identity))

    def _refusal(
        self, dispatcher: HubDispatcher, method: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Refusal:
        """Say why there is no transport for a request: this version has WebSockets only."""
        if method not in ("GET", "POST", "DELETE"):
            return Refusal(405, "Method Not Allowed", Allow="GET, POST, DELETE")
        token = query.get("id")
        if not token:
            return Refusal(400, "Connection ID required")
        try:
            entry = self._negotiated(self._server(), dispatcher, token)
        except Refusal as refusal:
            return refusal
        if method == "GET":
            events = "text/event-stream" in headers.get("accept", "")
            transport = "ServerSentEvents" if events else "LongPolling"
            return Refusal(404, f"{transport} transport not supported by this end point type")
        if method == "POST":
            return Refusal(405, f"POST requests are not allowed for {entry.transport or 'WebSockets'} connections.")
        return Refusal(400, "Cannot terminate this connection using the DELETE endpoint.")

    def _serve_script(self, name: str, method: str, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Serve the client: kept by browsers, and asked for anew each time whether it is still this one."""
        if method not in ("GET", "HEAD"):
            raise Refusal(405, "Method Not Allowed", Allow="GET, HEAD")
        script = client.script(name)
        caching = {"ETag": script.etag, "Cache-Control": "public, no-cache"}
        if script.etag in headers.get("if-none-match", ""):
            return 304, b"", caching
        content = {"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return 200, script.body, caching | content

    # Who may.

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        if not origins.is_allowed(headers, self.options.allowed_origins):
            raise Refusal(403, "Pages of this origin may not connect.")

    async def _check_user(self, dispatcher: HubDispatcher, context: HubCallerContext) -> None:
        if not await is_authorized(dispatcher.authorize, context):
            # An empty body: the official client then says "Unauthorized: Status code '401'".
            raise Refusal(401 if context.user is None else 403)

    def _negotiated(self, server: Server, dispatcher: HubDispatcher, token: str) -> Negotiated:
        entry = server.negotiated(token, dispatcher.name)
        if entry is None:
            raise Refusal(404, "No Connection with that ID")
        return entry


async def _respond(send: Send, status: int, body: bytes, headers: Mapping[str, str], *, length: int) -> None:
    encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    if status not in (204, 304):
        encoded.append((b"content-length", str(length).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _path(scope: Scope) -> str:
    """The path below this application: what is left after the root path, when it is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root.rstrip("/") + "/")):
        path = path[len(root.rstrip("/")) :]
    return _normal(path)


def _normal(path: str) -> str:
    return "/" + path.strip("/")
