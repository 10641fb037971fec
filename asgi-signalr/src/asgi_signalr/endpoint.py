"""One path of the application: who may connect there, by which transports, and what every other request is told.

What the official clients ask for, and what they are answered, is said in TransportProtocols.md.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from asgi_signalr import negotiate, origins
from asgi_signalr.connection import Connection, ConnectionHandler
from asgi_signalr.connection_manager import Negotiated
from asgi_signalr.context import HubCallerContext, is_authorized, take_secrets
from asgi_signalr.http import Receive, Refusal, Response, Scope, Send, headers_of, respond
from asgi_signalr.options import Options
from asgi_signalr.server import Server
from asgi_signalr.transports.websockets import WebSocketTransport, refuse
from asgi_signalr.users import find_user, identifier


class Endpoint:
    """Serves the connections of one handler at one path."""

    def __init__(self, handler: ConnectionHandler, options: Options, find_server: Callable[[], Server]) -> None:
        self.handler = handler
        self._options = options
        self._find_server = find_server

    # WebSockets.

    async def serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket: a new connection, or one that was negotiated."""
        transport = WebSocketTransport(receive, send)
        try:
            connection, token = await self._open(scope, transport)
        except Refusal as refusal:
            await refuse(scope, receive, send, refusal.status, refusal.text, refusal.headers)
            return
        server = self._find_server()
        try:
            await server.start()
            if await transport.accept():
                server.connections.opened(connection)
                await self.handler.run(connection)
        finally:
            server.connections.closed(connection, token)

    async def _open(self, scope: Scope, transport: WebSocketTransport) -> tuple[Connection, str | None]:
        """Make the connection that a request asks for: one that was negotiated, or a new one.

        Raises:
            Refusal: there is no such connection, or it is not for this user.

        """
        headers = headers_of(scope)
        # Before the tokens are taken out: an application may look for its user in the query string.
        user = await find_user(scope, self._options.user)
        query = take_secrets(scope)
        self._check_origin(headers)
        token = query.get("id") or None
        server = self._find_server()
        entry = None
        if token is not None:
            entry = self._negotiated(server, token)
            if entry.user_identifier != identifier(user):
                raise Refusal(403, "This connection was negotiated by another user.")
            if entry.transport is not None:
                raise Refusal(409)
        connection_id = entry.connection_id if entry else negotiate.new_identity(1).connection_id
        context = HubCallerContext(connection_id, scope, user, identifier(user), self.handler.name)
        await self._check_user(context)
        if entry is not None:
            if entry.transport is not None:  # opened a second time while the first one was being authorized
                raise Refusal(409)
            entry.transport = transport.name
        lifetime = server.lifetime(self.handler.name)
        return self.handler.open(context, transport, lifetime, self._options, server.flusher), token

    # HTTP.

    async def serve_http(self, scope: Scope, send: Send, *, negotiates: bool) -> None:
        """Answer an HTTP request, to the endpoint or to its negotiation."""
        headers = headers_of(scope)
        try:
            response = await self._respond(scope, headers, negotiates=negotiates)
        except Refusal as refusal:
            response = refusal.response
        await respond(scope, send, response, origins.cors_headers(headers, self._options.allowed_origins))

    async def _respond(self, scope: Scope, headers: Mapping[str, str], *, negotiates: bool) -> Response:
        method = scope["method"]
        user = await find_user(scope, self._options.user)
        query = take_secrets(scope)
        self._check_origin(headers)
        if method == "OPTIONS":
            return Response(204, headers=origins.PREFLIGHT)
        if negotiates:
            if method != "POST":
                raise Refusal(405, "Method Not Allowed", Allow="POST")
            return await self._negotiate(scope, user, query)
        raise self._refusal(method, query, headers)

    async def _negotiate(self, scope: Scope, user: object | None, query: Mapping[str, str]) -> Response:
        try:
            version = negotiate.requested_version(query, self._options.minimum_negotiate_version)
        except negotiate.NegotiateError as error:
            return _json({"error": str(error)})
        identity = negotiate.new_identity(version)
        name = identifier(user)
        await self._check_user(HubCallerContext(identity.connection_id, scope, user, name, self.handler.name))
        now = asyncio.get_running_loop().time()
        entry = Negotiated(identity.connection_id, self.handler.name, name, now)
        self._find_server().connections.negotiate(identity.token, entry)
        return _json(negotiate.answer(version, identity))

    def _refusal(self, method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Refusal:
        """Say why there is no transport for a request: this version has WebSockets only."""
        if method not in ("GET", "POST", "DELETE"):
            return Refusal(405, "Method Not Allowed", Allow="GET, POST, DELETE")
        token = query.get("id")
        if not token:
            return Refusal(400, "Connection ID required")
        try:
            entry = self._negotiated(self._find_server(), token)
        except Refusal as refusal:
            return refusal
        if method == "GET":
            events = "text/event-stream" in headers.get("accept", "")
            transport = "ServerSentEvents" if events else "LongPolling"
            return Refusal(404, f"{transport} transport not supported by this end point type")
        if method == "POST":
            return Refusal(405, f"POST requests are not allowed for {entry.transport or 'WebSockets'} connections.")
        return Refusal(400, "Cannot terminate this connection using the DELETE endpoint.")

    # Who may.

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        if not origins.is_allowed(headers, self._options.allowed_origins):
            raise Refusal(403, "Pages of this origin may not connect.")

    async def _check_user(self, context: HubCallerContext) -> None:
        if not await is_authorized(self.handler.authorize, context):
            # An empty body: the official client then says "Unauthorized: Status code '401'".
            raise Refusal(401 if context.user is None else 403)

    def _negotiated(self, server: Server, token: str) -> Negotiated:
        entry = server.connections.negotiated(token, self.handler.name)
        if entry is None:
            raise Refusal(404, "No Connection with that ID")
        return entry


def _json(value: object) -> Response:
    return Response(200, msgspec.json.encode(value), {"Content-Type": "application/json"})
