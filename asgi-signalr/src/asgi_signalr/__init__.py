"""SignalR hubs for any ASGI app: the official clients connect unchanged."""

from asgi_signalr.app import SignalR
from asgi_signalr.backplanes import Backplane, BackplaneError, Deliver, OnGap, open_backplane
from asgi_signalr.clients import ClientProxy, GroupManager, HubCallerClients, HubClients, HubContext
from asgi_signalr.context import HubCallerContext
from asgi_signalr.errors import HubException
from asgi_signalr.hubs import Hub, hub_method
from asgi_signalr.protocols import HubProtocol

__all__ = [
    "Backplane",
    "BackplaneError",
    "ClientProxy",
    "Deliver",
    "GroupManager",
    "Hub",
    "HubCallerClients",
    "HubCallerContext",
    "HubClients",
    "HubContext",
    "HubException",
    "HubProtocol",
    "OnGap",
    "SignalR",
    "hub_method",
    "open_backplane",
]
