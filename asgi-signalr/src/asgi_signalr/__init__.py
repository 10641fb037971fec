"""SignalR hubs for any ASGI app: the official clients connect unchanged.

`SignalR` is the ASGI app, and `Hub` the base of the classes whose methods clients call. Names that are needed less
often have a module of their own:

* `asgi_signalr.options`: the options of a server, the keyword arguments of `SignalR`;
* `asgi_signalr.persistent`: connections with a protocol of one's own instead of a hub;
* `asgi_signalr.filters`: code around every call;
* `asgi_signalr.presence`: who is in which group, on all servers;
* `asgi_signalr.clients`: whom hubs can send to;
* `asgi_signalr.metrics`: the figures that OpenTelemetry collects;
* `asgi_signalr.testing`: clients for tests, in their own process;
* `asgi_signalr.backplanes`: how several servers are joined, and how to write another backplane;
* `asgi_signalr.protocols` and `asgi_signalr.messages`: the encodings of what hubs and clients say, and how to add one;
* `asgi_signalr.servers`: ASGI servers with which the library can do more.
"""

from typing import TYPE_CHECKING

from asgi_signalr.app import SignalR
from asgi_signalr.backplanes import Backplane, BackplaneError, Deliver, OnGap, open_backplane
from asgi_signalr.clients import (
    ClientProxy,
    GroupManager,
    HubCallerClients,
    HubClients,
    HubContext,
    SingleClientProxy,
)
from asgi_signalr.context import HubCallerContext, HubInvocation
from asgi_signalr.dependencies import Depends
from asgi_signalr.endpoints.negotiate import Redirect
from asgi_signalr.errors import HubException, InvalidDataError
from asgi_signalr.filters import HubFilter, InvocationContext, LifetimeContext
from asgi_signalr.http import Receive, Scope, Send
from asgi_signalr.hubs import Hub, hub_method
from asgi_signalr.persistent import (
    ConnectionContext,
    ConnectionProxy,
    Connections,
    ConnectionSender,
    PersistentConnection,
)
from asgi_signalr.presence import Presence, PresenceEvent
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.scaleout.presence_roster import Member
from asgi_signalr.users import bearer_token

__all__ = [
    "Backplane",
    "BackplaneError",
    "ClientProxy",
    "ConnectionContext",
    "ConnectionProxy",
    "ConnectionSender",
    "Connections",
    "Deliver",
    "Depends",
    "GroupManager",
    "Hub",
    "HubCallerClients",
    "HubCallerContext",
    "HubClients",
    "HubContext",
    "HubException",
    "HubFilter",
    "HubInvocation",
    "HubProtocol",
    "InvalidDataError",
    "InvocationContext",
    "LifetimeContext",
    "Member",
    "OnGap",
    "PersistentConnection",
    "Presence",
    "PresenceEvent",
    "Receive",
    "Redirect",
    "Scope",
    "Send",
    "SignalR",
    "SingleClientProxy",
    "bearer_token",
    "hub_method",
    "open_backplane",
]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        if name == "__version__":  # read from the distribution only when somebody asks
            from importlib.metadata import version

            return version("asgi-signalr")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
