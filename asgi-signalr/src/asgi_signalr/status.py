"""How an application fares on one server: a small report, for people and for those who watch over it."""

from datetime import UTC, datetime
from typing import Any

from asgi_signalr.scaleout.server import Server

NOT_JOINED = {"name": None, "is_joined": False}


def report(server: Server | None) -> dict[str, Any]:
    """Describe a server; None: nobody has connected to it yet, nor sent anything.

    Returns:
        A JSON-ready dictionary: `since` (ISO 8601), `connections` by endpoint and transport, how many were `negotiated`
        and are not open, how many were `refused` by reason, and the `backplane`: the `name` of its class, and whether
        the server `is_joined` to it now; for one that can be away also how many messages are `queued` to be sent, the
        `lag` (how many are known to be stored and not read here yet), the number of `gaps`, and the `trouble`, as a
        sentence or None.

    """
    if server is None:
        return {"since": None, "connections": {}, "negotiated": 0, "refused": {}, "backplane": NOT_JOINED}
    connections = server.connections
    return {
        "since": datetime.fromtimestamp(connections.since, UTC).isoformat(timespec="seconds"),
        "connections": connections.counts(),
        "negotiated": len(connections.unopened),
        "refused": dict(connections.refused),
        "backplane": server.backplane,
    }
