"""Which servers there are: who is asked about a connection of none of them hears so at once.

The id of a connection begins with the mark of its server. A server that starts, or may have missed something, calls the
roll; the others answer, and say when they stop. One that was killed is struck off once it has not answered.
"""

import asyncio

from asgi_signalr.scaleout.envelopes import Publisher, ServerState

MARK = 8
"""How many characters of a connection's id are the mark of its server."""


class Roll:
    """The servers of one application, as one of them knows them.

    Args:
        address: the name by which all servers know the application.
        mark: this server's own.
        publisher: the way to the other servers.
        patience: seconds in which the others answer.

    """

    def __init__(self, address: str, mark: str, publisher: Publisher, patience: float) -> None:
        self.address = address
        self.mark = mark
        self._publisher = publisher
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._marks: set[str] = set()
        self._called = float("inf")

    def call(self) -> None:
        """Ask who is there; until the others have had the time to answer, anybody may be."""
        self._called = self._loop.time()
        self._publisher.publish_soon(ServerState(self.address, self.mark, "asks"))

    def leave(self) -> None:
        """Tell the others that this server stops."""
        self._publisher.publish_soon(ServerState(self.address, self.mark, "leaves"))

    def handle(self, state: ServerState) -> None:
        """Learn of a server."""
        if state.server == self.mark:
            return
        if state.state == "leaves":
            self._marks.discard(state.server)
            return
        self._marks.add(state.server)
        if state.state == "asks":
            self._publisher.publish_soon(ServerState(self.address, self.mark, "lives"))

    def is_of_this_server(self, connection_id: str) -> bool:
        """Say whether this server has given a connection its id, so that no other can have it."""
        return connection_id[:MARK] == self.mark

    def may_be_elsewhere(self, connection_id: str) -> bool:
        """Say whether another server may have a connection."""
        return connection_id[:MARK] in self._marks or self._loop.time() - self._called < self._patience

    def doubt(self, connection_id: str) -> None:
        """Strike a connection's server off, which has not answered; if it lives all the same, it says so."""
        if (mark := connection_id[:MARK]) in self._marks:
            self._marks.discard(mark)
            self._publisher.publish_soon(ServerState(self.address, self.mark, "asks"))
