"""The ASGI application: which request is for which hub, who may connect, and what else there is to fetch."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar, Unpack

import msgspec

from asgi_signalr import status
from asgi_signalr.backplanes import Backplane
from asgi_signalr.clients import HubContext
from asgi_signalr.context import Authorize, take_secrets
from asgi_signalr.endpoints import scripts
from asgi_signalr.endpoints.endpoint import ConnectionHandler, Endpoint
from asgi_signalr.endpoints.negotiate import FindRedirect
from asgi_signalr.endpoints.refusals import LONGEST, RefusalLog
from asgi_signalr.endpoints.routes import Routes
from asgi_signalr.filters import HubFilter, checked_filters
from asgi_signalr.http import Receive, Refusal, Response, Scope, Send, path_of, respond
from asgi_signalr.hubs import Hub
from asgi_signalr.hubs.conversation import HubConversation
from asgi_signalr.hubs.signatures import has_decimals
from asgi_signalr.options import Options, OptionsDict, ValueForms
from asgi_signalr.persistent import ConnectionContext, PersistentConnection
from asgi_signalr.persistent.conversation import PersistentConversation
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.built_in import chosen, formed
from asgi_signalr.scaleout.event_loops import Servers
from asgi_signalr.scaleout.presence_events import PresenceFunction
from asgi_signalr.transports import checked
from asgi_signalr.transports.websockets import refuse

H = TypeVar("H", bound=type[Hub])
C = TypeVar("C", bound=type[PersistentConnection])
P = TypeVar("P", bound=PresenceFunction)
G = TypeVar("G", bound=Callable[[str], Awaitable[None] | None])


class SignalR:
    """An ASGI application that serves hubs: mount it in any ASGI app, or run it by itself.

    Times are in seconds, sizes in bytes; `Options` says what the other keywords mean.

    Args:
        filters: Code around every call of every hub; a hub may have its own besides.
        status_path: Where the status is served, as JSON, such as `/healthz`; to anybody who can reach it.
        protocols: The protocols that clients may speak: `"json"`, `"messagepack"`, or your own `HubProtocol`.
        backplane: How the servers are joined: a URL such as `postgresql://host/database`, or your own engine.

    Raises:
        ValueError: an option has a value that it cannot have; the message says which it can.
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
        filters: Sequence[HubFilter] = (),
        protocols: Collection[str | HubProtocol] = ("json", "messagepack"),
        backplane: str | Backplane = "memory://",
        status_path: str | None = None,
        **options: Unpack[OptionsDict],
    ) -> None:
        given = Options(**options)
        self.options = replace(given, transports=checked(given.transports))
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """Functions that are called instead of dependencies: for tests."""
        self._filters = checked_filters(filters)
        self._protocols = chosen(protocols)
        if status_path is not None and not isinstance(status_path, str):
            raise ValueError(f"status_path has to be a path such as '/healthz', or None, not {status_path!r}.")
        self._routes = Routes(status_path)
        self._refusals = RefusalLog()
        self._hub_handlers: list[tuple[str, HubConversation, ValueForms]] = []
        self._presence: dict[str, list[PresenceFunction]] = {}
        self._hub_protocols: dict[str, Mapping[str, HubProtocol]] = {}
        self._servers = Servers(self.options, self._hub_protocols, self._presence, backplane)

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
        value_forms: ValueForms | None = None,
        client: type | None = None,
    ) -> Callable[[H], H]:
        """Serve a hub class at a path below this application.

        Args:
            path: such as `/chat`.
            authorize: who may connect. True: any signed-in user. A function is asked for each request.
            transports: the transports that this hub offers, in this order; None: those of the application.
            redirect: asked for each client that negotiates; may send it to another server, or raise a `HubException`
                whose message the client is told.
            filters: code around its calls, inside the application's own filters.
            presence: whether to keep who is in which group on all servers, see `asgi_signalr.presence`.
            value_forms: how its values are written; None: as those of the application.
            client: a class whose methods are the handlers of its clients, for `asgi-signalr types`.

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
            forms = self.options.value_forms if value_forms is None else value_forms
            protocols = formed(
                self._protocols,
                forms,
                exact=has_decimals(hub),
                named_floats=self.options.named_floats,
                enc_hook=self.options.enc_hook,
                dec_hook=self.options.dec_hook,
            )
            handler = HubConversation(
                hub, authorize, protocols, around, self.dependency_overrides, self.options, client
            )
            self._hub_handlers.append((path, handler, forms))
            self._serve(path, hub, handler, self.options, transports, redirect)
            self._hub_protocols[hub.__name__] = protocols
            if presence:
                self._presence.setdefault(hub.__name__, [])
            return hub

        if value_forms is not None:
            replace(self.options, value_forms=value_forms)  # says which there are
        self._routes.check("hub", path, authorize, self._offered(transports), redirect)
        return serve

    def connection(
        self,
        path: str,
        *,
        authorize: Authorize = False,
        transports: Collection[str] | None = None,
        redirect: FindRedirect | None = None,
        max_message_size: int | None = None,
    ) -> Callable[[C], C]:
        """Serve a persistent connection at a path below this application: a protocol of one's own instead of a hub.

        Args:
            path: such as `/echo`.
            authorize: who may connect, see `hub`.
            transports: the transports that it offers, see `hub`.
            redirect: asked for each client that negotiates, see `hub`.
            max_message_size: the longest message that a client may send, in bytes; None: the application's.

        Raises:
            ValueError: the path is taken or has parameters, another class has the same name, there is no such
                transport, or the size is none.
            TypeError: it is no persistent connection, has a method that the library could not call, or an argument is
                not what it should be.

        """

        def serve(endpoint: C) -> C:
            if not (isinstance(endpoint, type) and issubclass(endpoint, PersistentConnection)):
                raise TypeError(f"{endpoint!r} is no subclass of PersistentConnection.")
            handler = PersistentConversation(endpoint, authorize, max_message_size)
            # What makes a reconnect stateful are messages that are numbered: a hub's.
            options = replace(self.options, allow_stateful_reconnects=False)
            self._serve(path, endpoint, handler, options, transports, redirect)
            return endpoint

        if max_message_size is not None:
            replace(self.options, max_message_size=max_message_size)  # says which there are
        self._routes.check("connection", path, authorize, self._offered(transports), redirect)
        return serve

    def _offered(self, transports: Collection[str] | None) -> Collection[str]:
        return self.options.transports if transports is None else transports

    def _serve(
        self,
        path: str,
        served: type,
        handler: ConnectionHandler,
        options: Options,
        transports: Collection[str] | None,
        redirect: FindRedirect | None,
    ) -> None:
        offered = checked(self._offered(transports))
        endpoint = Endpoint(handler, offered, options, self._servers.to_serve, self._refusals, redirect)
        self._routes.add(path, served, endpoint)

    def use_backplane(self, backplane: str | Backplane) -> None:
        """Join the servers of this application: by a URL such as `postgresql://host/database`, or one's own engine.

        Raises:
            ValueError: no engine has the URL's scheme.
            TypeError: it is neither a URL nor an engine.
            RuntimeError: there are connections already.

        """
        self._servers.use_backplane(backplane)

    def on_backplane_gap(self, function: G) -> G:
        """Have a function called when messages of other servers may have been lost; its argument says why.

        It may be async. Clients are told to reconnect as well, unless the option `reconnect_after_gap` is False.
        """
        self._servers.on_gap.append(function)
        return function

    def on_presence(self, hub: type[Hub]) -> Callable[[P], P]:
        """Have a function called with every `PresenceEvent` of a hub, once in the whole application; may be async.

        Raises:
            LookupError: the hub is not served here, or not with `presence=True`.
            TypeError: it is no class.

        """
        _check_class(hub, "on_presence(Chat)")
        if not self._routes.serves(hub) or hub.__name__ not in self._presence:
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
        if not self._routes.serves(hub):
            raise LookupError(f"{hub.__name__} is not served here; decorate it with @signalr.hub(path).")
        name = hub.__name__
        return HubContext(lambda: self._servers.to_send().local_hub(name))

    def connection_context(self, endpoint: type[PersistentConnection]) -> ConnectionContext:
        """Reach a persistent connection's clients from outside: usable anywhere on the event loop that serves them.

        Raises:
            LookupError: it is not served here.
            TypeError: it is no class.

        """
        _check_class(endpoint, "connection_context(Echo)")
        if not self._routes.serves(endpoint):
            raise LookupError(f"{endpoint.__name__} is not served here; decorate it with @signalr.connection(path).")
        name = endpoint.__name__
        return ConnectionContext(lambda: self._servers.to_send().local_hub(name))

    def hub_handlers(self) -> Sequence[tuple[str, HubConversation, ValueForms]]:
        """List the hubs: each one's path, the hub, and how its values are written; for tools."""
        return tuple(self._hub_handlers)

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
        return status.report(self._servers.find())

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
        await self._servers.to_serve().start()

    async def stop(self) -> None:
        """Tell every client to come back later, close the connections, and stop the backplane."""
        await self._servers.stop()

    # Requests.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            endpoint = self._routes.endpoint(path_of(scope))
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
        if (endpoint := self._routes.endpoint(path)) is not None:
            await endpoint.serve_http(scope, receive, send)
        elif (endpoint := self._routes.negotiation(path)) is not None:
            await endpoint.serve_negotiation(scope, receive, send)
        else:
            query = take_secrets(scope)
            await respond(scope, send, self._answer(path, scope, query), {})

    def _no_hub(self, path: str) -> Refusal:
        there_are = ", ".join(self._routes) or "no hubs at all"
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
            if path != self._routes.status_path:
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
