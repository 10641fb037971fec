"""One path of the application: who may connect there, by which transports, and what every other request is told.

What the official clients ask for, and what they are answered, is said in TransportProtocols.md.
"""

import asyncio
import multiprocessing
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from asgi_signalr import origins
from asgi_signalr.connections.connection import Connection
from asgi_signalr.connections.manager import Negotiated
from asgi_signalr.context import Authorize, HubCallerContext
from asgi_signalr.endpoints.admission import Admission, Request, unauthorized
from asgi_signalr.endpoints.negotiate import FindRedirect, Negotiation, new_identity
from asgi_signalr.endpoints.refusals import RefusalLog
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.http import Body, Disconnected, Receive, Refusal, Response, Scope, Send, headers_of, respond
from asgi_signalr.options import Options
from asgi_signalr.protocols import check_size
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.scaleout.server import Server
from asgi_signalr.transports import Transport, long_polling
from asgi_signalr.transports.inbox import Inbox, InboxClosed
from asgi_signalr.transports.long_polling import LongPollingTransport
from asgi_signalr.transports.resumable import ResumableTransport
from asgi_signalr.transports.server_sent_events import ServerSentEventsTransport
from asgi_signalr.transports.websockets import WebSocketTransport, refuse


class ConnectionHandler(Protocol):
    """What is said on the connections of an endpoint: a hub, or something of one's own."""

    @property
    def name(self) -> str:
        """The name by which the servers of an application know it."""

    @property
    def authorize(self) -> Authorize:
        """Who may connect."""

    def open(self, context: HubCallerContext, transport: Transport, local_hub: LocalHub) -> Connection:
        """Make a connection of its own kind."""

    async def run(self, connection: Any) -> None:
        """Converse with the client until it has gone or the connection is ended."""


class Endpoint:
    """Serves the connections of one handler at one path.

    Args:
        handler: what is said on its connections.
        transports: the transports that are offered, in the order in which clients try them.
        options: those of the application.
        find_server: finds the server of the event loop that it is called on.
        refusals: where refused requests are noted.
        redirect: sends clients that negotiate elsewhere.

    """

    def __init__(
        self,
        handler: ConnectionHandler,
        transports: tuple[str, ...],
        options: Options,
        find_server: Callable[[], Server],
        refusals: RefusalLog,
        redirect: FindRedirect | None = None,
    ) -> None:
        self.handler = handler
        self.transports = transports
        self._options = options
        self._find_server = find_server
        self._refusals = refusals
        self._admission = Admission(handler.name, handler.authorize, options)
        self._negotiation = Negotiation(handler.name, self._admission, transports, options, find_server, redirect)

    # WebSockets.

    async def serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket: a new connection, one that was negotiated, or one that has lost its WebSocket."""
        server = self._find_server()
        server.speaks_websockets = True
        websocket = WebSocketTransport(receive, send, scope, self._options.close_timeout)
        try:
            request = await self._admission.read(scope, headers_of(scope))
            token = request.query.get("id") or None
            entry = None if token is None else await self._negotiated(server, request, to_open=True)
            context = await self._check(request, "WebSockets", entry)
            if entry is not None and entry.stateful:
                transport = await self._resumable(server, request, context, entry)
            else:
                connection = self._open(server, context, websocket, entry)
                transport = None
        except Refusal as refusal:
            self._refusals.note(scope, refusal)
            await refuse(scope, receive, send, refusal.status, refusal.text, refusal.headers)
            return
        del request, context  # not to be kept as long as the connection lasts
        if entry is not None and entry.posted is not None:
            websocket.begin_with(entry.posted.take_all())
            entry.posted = None
        if transport is not None:
            if await websocket.accept(self._subprotocol(scope)):
                await transport.carry(websocket)
            return
        try:
            await server.start()
            if await websocket.accept(self._subprotocol(scope)):
                await self.handler.run(connection)
        finally:
            server.connections.closed(connection)
            server.connections.forget(token)

    def _subprotocol(self, scope: Scope) -> str | None:
        """Choose a subprotocol.

        Raises:
            ValueError: the application has chosen what was not offered.

        """
        offered, select = scope.get("subprotocols") or (), self._options.select_subprotocol
        chosen = select(tuple(offered)) if offered and select is not None else None
        if chosen is not None and chosen not in offered:
            raise ValueError(f"select_subprotocol has chosen {chosen!r}; the client offers {', '.join(offered)}.")
        return chosen

    # HTTP.

    async def serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to the endpoint itself: Server-Sent Events, a poll, what a client posts, or its end."""
        headers = headers_of(scope)
        more = origins.cors_headers(headers, self._options.allowed_origins)
        body = Body(receive, self._options.body_timeout)
        try:
            if origins.is_preflight(scope["method"], headers):
                response = self._admission.preflight(scope, headers)
            else:
                request = await self._admission.read(scope, headers)
                match scope["method"]:
                    case "GET" if headers.get("upgrade", "").lower() == "websocket":
                        # The ASGI server speaks no WebSockets: uvicorn without a library for them is one.
                        if _is_whole_upgrade(headers) and self._find_server().speaks_websockets is None:
                            self._find_server().speaks_websockets = False  # and they are offered to nobody any more
                        raise Refusal(404, "WebSockets transport not supported by this end point type")
                    case "GET" if "text/event-stream" in headers.get("accept", "").lower():
                        await self._serve_events(request, receive, send, more)
                        return
                    case "GET":
                        more = {**more, **long_polling.HEADERS}
                        await self._serve_poll(request, receive, send, more)
                        return
                    case "POST":
                        response = await self._post(request, body)
                    case "DELETE":
                        response = await self._delete(request)
                    case _:
                        await self._check_new(self._find_server(), request)
                        raise Refusal(405, "Method Not Allowed", Allow="GET, POST, DELETE")
        except Refusal as refusal:
            self._refusals.note(scope, refusal)
            response = refusal.response
            if scope["method"] == "POST":
                with suppress(Disconnected):
                    await body.drain()
        except Disconnected:  # answered all the same: a middleware may insist
            response = Response(204)
        await respond(scope, send, response, more)

    async def serve_negotiation(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to the negotiation."""
        headers = headers_of(scope)
        if scope["method"] == "POST":
            with suppress(Disconnected):
                await Body(receive).drain()
        try:
            if origins.is_preflight(scope["method"], headers):
                response = self._admission.preflight(scope, headers)
            else:
                response = await self._negotiation.answer(await self._admission.read(scope, headers))
        except Refusal as refusal:
            self._refusals.note(scope, refusal)
            response = refusal.response
        await respond(scope, send, response, origins.cors_headers(headers, self._options.allowed_origins))

    async def _serve_events(self, request: Request, receive: Receive, send: Send, more: Mapping[str, str]) -> None:
        """Serve Server-Sent Events: the answer lasts as long as the connection."""
        server, token = self._find_server(), request.query.get("id")
        entry = await self._negotiated(server, request, to_open=True)
        context = await self._check(request, "ServerSentEvents", entry)
        transport = ServerSentEventsTransport(receive, send, entry.posted)
        connection = self._open(server, context, transport, entry)
        watcher = asyncio.create_task(transport.watch())
        try:
            await server.start()
            await transport.start(more)
            await self.handler.run(connection)
        finally:
            watcher.cancel()
            server.connections.closed(connection)
            server.connections.forget(token)

    async def _serve_poll(self, request: Request, receive: Receive, send: Send, more: Mapping[str, str]) -> None:
        """Serve a poll. The first one opens the connection, and is answered at once: only then the client says more."""
        server, token = self._find_server(), request.query.get("id")
        entry = await self._negotiated(server, request, to_open=True)
        context = await self._check(request, "LongPolling", entry)
        if entry.connection is None:
            await server.start()
            self._check_place(entry, "LongPolling")
        if entry.connection is None:  # still: another poll may have come first meanwhile
            # The conversation outlives this request, and so does its scope, without what others may still do to it.
            context.scope = dict(context.scope)
            connection = self._open(server, context, LongPollingTransport(entry.posted), entry)
            entry.alone_since = asyncio.get_running_loop().time()
            server.connections.converse(entry, self._converse(server, connection))
            await respond(request.scope, send, Response(200, headers=OCTETS), more)
            return
        _sign_in(entry.connection, request)
        transport = entry.connection.transport
        assert isinstance(transport, LongPollingTransport)  # noqa: S101  (as has been checked)
        loop = asyncio.get_running_loop()
        entry.alone_since = None
        try:
            data = await transport.poll(receive, self._options.poll_timeout)
            if not transport.is_polled:
                # A client that is still reading is not away, if it does not take for ever.
                entry.alone_since = loop.time() + self._options.send_timeout
            is_over = data is None and transport.is_over
            if data is None:
                response = Response(500 if is_over and transport.has_failed else 204, headers=PLAIN)
            else:
                response = Response(200, data, OCTETS if data else PLAIN)
            await respond(request.scope, send, response, more)
            if is_over:
                server.connections.forget(token)
        finally:
            if not transport.is_polled:
                entry.alone_since = loop.time()
            server.connections.settle()
        if entry.connection.ending is not None:
            await server.connections.conversed(entry)

    async def _converse(self, server: Server, connection: Connection, token: str | None = None) -> None:
        """Run a conversation that outlives the request that has opened the connection; its end forgets the token."""
        try:
            await self.handler.run(connection)
        finally:
            server.connections.closed(connection)
            server.connections.forget(token)

    async def _post(self, request: Request, body: Body) -> Response:
        """Hand over what the client posts; answered when all of it is handed over."""
        entry = await self._negotiated(self._find_server(), request)
        await self._check(request, None, entry)
        connection = entry.connection
        if connection is None:
            return await self._post_early(request, body, entry)
        inbox = connection.transport.inbox
        if inbox is None:
            raise Refusal(405, "POST requests are not allowed for WebSocket connections.", Allow="GET")
        try:
            async with inbox.lock:
                inbox.check()
                if connection.takes_whole_messages:
                    limit, is_text = connection.max_message_size, connection.transport.name == "ServerSentEvents"
                    await inbox.put(await self._message_in(request, body, limit, is_text=is_text))
                else:
                    async for portion in body.portions():
                        await inbox.put(portion)
        except InboxClosed:
            transport = connection.transport
            # Its end is told by the poll: until then the client does not know, and has done nothing wrong.
            if entry.is_forgotten or not isinstance(transport, LongPollingTransport) or transport.is_given_up:
                raise Refusal(404, NO_CONNECTION) from None
        except Disconnected:
            raise Refusal(400, "The body could not be read to its end.") from None
        return Response(200, headers=PLAIN)

    async def _post_early(self, request: Request, body: Body, entry: Negotiated) -> Response:
        """Keep what a client posts before it opens its connection: some clients begin with their handshake."""
        if entry.posted is None:
            entry.posted = Inbox()
        async with entry.posted.lock:
            try:
                async with asyncio.timeout(self._options.handshake_timeout):
                    message = await self._message_in(request, body, MOST_POSTED_EARLY)
            except Disconnected:
                raise Refusal(400, "The body could not be read to its end.") from None
            except TimeoutError:
                raise Refusal(408, "The body did not come in time.") from None
            self._check_place(entry, None)
            opened = entry.connection
            if opened is not None and opened.transport.inbox is None:
                raise Refusal(405, "POST requests are not allowed for WebSocket connections.", Allow="GET")
            if opened is None and entry.posted.size + len(message) > MOST_POSTED_EARLY:
                raise Refusal(413, "Before its transport is open a client may post its handshake, and no more.")
            try:
                await entry.posted.put(message)
            except InboxClosed:
                raise Refusal(404, NO_CONNECTION) from None
        return Response(200, headers=PLAIN)

    async def _message_in(self, request: Request, body: Body, limit: int, *, is_text: bool = False) -> str | bytes:
        """Read a body that is one message: text, or bytes; events carry text only, whatever a client says of it."""
        message = bytearray()
        async for portion in body.portions():
            message += portion
            try:
                check_size(len(message), limit)
            except InvalidDataError as error:
                raise Refusal(413, str(error)) from None
        if not is_text and not request.headers.get("content-type", "").startswith("text/"):
            return bytes(message)
        try:
            return message.decode()
        except UnicodeDecodeError:
            raise Refusal(400, "The body is no UTF-8 text, as its Content-Type says.") from None

    async def _delete(self, request: Request) -> Response:
        """End a long-polling connection, as its client wishes; the poll that waits, or else the next, is told."""
        server = self._find_server()
        entry = await self._negotiated(server, request)
        await self._check(request, None, entry)
        transport = entry.connection.transport if entry.connection else None
        if not isinstance(transport, LongPollingTransport):
            raise Refusal(400, "Cannot terminate this connection using the DELETE endpoint.")
        if transport.is_given_up:
            raise Refusal(404, NO_CONNECTION)
        transport.terminate()
        server.connections.settle()
        return Response(202, headers=PLAIN)

    # Opening.

    def _open(
        self, server: Server, context: HubCallerContext, transport: Transport, entry: Negotiated | None
    ) -> Connection:
        """Open a connection: from now on it is watched over. Whoever opens it sees to its end."""
        if entry is not None:
            self._check_place(entry, transport.name)
        connection = self.handler.open(context, transport, server.local_hub(self.handler.name))
        server.connections.opened(connection, entry)
        return connection

    async def _resumable(
        self, server: Server, request: Request, context: HubCallerContext, entry: Negotiated
    ) -> ResumableTransport:
        """Find what a stateful connection's WebSockets carry, one after another; the first one opens it."""
        if entry.connection is None:
            await server.start()
            self._check_place(entry, "WebSockets")
        if entry.connection is None:
            connection = self._open(server, context, ResumableTransport(), entry)
            server.connections.converse(entry, self._converse(server, connection, request.query.get("id")))
        assert entry.connection is not None  # noqa: S101  (it has just been opened)
        _sign_in(entry.connection, request)
        transport = entry.connection.transport
        assert isinstance(transport, ResumableTransport)  # noqa: S101  (as has been checked)
        return transport

    # Who may.

    async def _check(self, request: Request, transport: str | None, entry: Negotiated | None) -> HubCallerContext:
        """Check a request that is about a connection; one that brings a transport may be the one that opens it.

        Raises:
            Refusal: the connection is another user's, the handler's rule says no, or the transport does not fit.

        """
        if transport is not None and transport not in self.transports:
            raise Refusal(404, f"{transport} transport not supported by this end point type")
        if entry is not None and request.user_identifier != entry.user_identifier:
            if request.user is None:  # its authentication has expired, most likely: a client may have it renewed
                raise unauthorized()
            raise Refusal(403, "This connection was negotiated by another user.")
        if entry is None:
            return await self._check_new(self._find_server(), request)
        context = self._admission.context(entry.connection_id, request)
        await self._admission.check_user(context)
        self._check_place(entry, transport)
        return context

    async def _check_new(self, server: Server, request: Request) -> HubCallerContext:
        """Check a request that is about no connection that there is.

        Raises:
            Refusal: the handler's rule says no.

        """
        context = self._admission.context(new_identity(server.roll.mark).connection_id, request)
        await self._admission.check_user(context)
        return context

    def _check_place(self, entry: Negotiated, transport: str | None) -> None:
        """Check that there is room for what a request brings: after everything that was waited for, once more.

        Raises:
            Refusal: the token is forgotten by now, or the transport does not fit to what there is.

        """
        if entry.is_forgotten:
            raise self._unknown()
        if transport is None or entry.connection is None:
            return
        there = entry.connection.transport
        if there.name != transport:
            raise Refusal(400, "Cannot change transports mid-connection")
        if isinstance(there, LongPollingTransport):
            return  # each poll takes the place of the one before
        if entry.connection.ending is not None:
            raise self._unknown()
        if not (isinstance(there, ResumableTransport) and there.can_resume):
            raise Refusal(409)

    async def _negotiated(self, server: Server, request: Request, *, to_open: bool = False) -> Negotiated:
        """Find what a request is about.

        Raises:
            Refusal: it names no connection that there is, which is told only to those who may connect.

        """
        token = request.query.get("id")
        entry = server.connections.negotiated(token, self.handler.name) if token else None
        if entry is not None:
            return entry
        await self._check_new(server, request)
        if not token:
            raise Refusal(400, "Connection ID required")
        # Other requests may come too late, in good order.
        raise self._unknown(f"{self.handler.name}: {NO_CONNECTION}. {IF_SEVERAL}" if to_open else "")

    def _unknown(self, advice: str = "") -> Refusal:
        # Started with `--workers`, a server is one of several even without a backplane.
        is_alone = self._find_server().is_alone and multiprocessing.parent_process() is None
        return Refusal(404, NO_CONNECTION if is_alone else f"{NO_CONNECTION}\n{STICKY_SESSIONS}", advice=advice)


# The most bytes that are kept for a client before it has opened its connection.
MOST_POSTED_EARLY = 4096
NO_CONNECTION = "No Connection with that ID"
STICKY_SESSIONS = (
    "There are several servers, and this one does not know it. All requests of a connection have to reach the server "
    "that it was negotiated with: configure sticky sessions, or have clients skip the negotiation for WebSockets."
)
IF_SEVERAL = (
    "If several servers or workers serve it, all requests of a connection have to reach the same one "
    "(sticky sessions), and they need a backplane to reach each other's clients."
)
OCTETS = {"Content-Type": "application/octet-stream"}
PLAIN = {"Content-Type": "text/plain"}


def _is_whole_upgrade(headers: Mapping[str, str]) -> bool:
    """Say whether a request asks for a WebSocket as RFC 6455, section 4.2.1 has it; a server of them takes it."""
    wishes = [each.strip().lower() for each in headers.get("connection", "").split(",")]
    key = re.fullmatch(r"[A-Za-z0-9+/]{22}==", headers.get("sec-websocket-key", ""))
    return "upgrade" in wishes and key is not None and headers.get("sec-websocket-version") == "13"


def _sign_in(connection: Connection, request: Request) -> None:
    """Have the same user anew: what the request's authentication knows of it now, and until when."""
    connection.context.user = request.user
    connection.context.expires_at = request.expires_at
    connection.context.revalidate = request.revalidate
