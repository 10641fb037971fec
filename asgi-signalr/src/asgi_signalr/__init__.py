"""SignalR hubs for any ASGI app."""
