"""The hub of the Statistics page."""

from asgi_signalr import Hub, SignalR

signalr = SignalR()


@signalr.hub("/statistics", authorize=True)
class StatisticsHub(Hub):
    """Every open Statistics page is connected to this hub."""
