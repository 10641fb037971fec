"""Questions to clients: a client's method is called, and somebody waits for its result.

Who asks and the connection that is asked may be on different servers. The server that has the connection keeps what
the client owes, by connection: only the connection that was asked can answer. A client's error, a client that goes
and a server that dies all end the wait.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.connections.connection import Connection
from asgi_signalr.errors import ClientResultError, HubException
from asgi_signalr.messages import Completion, Invocation, Unreadable
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.encodings import Encodings
from asgi_signalr.scaleout.envelopes import Acknowledgement, ClientInquiry, ClientInvocation, ClientResult, Publisher
from asgi_signalr.scaleout.roll import Roll

Answer = Callable[[Completion | None], None]
"""Takes what a client has answered; None: its connection has ended before."""
NO_RESULT = "Error trying to deserialize result"


class _Question:
    """A question to a connection of another server."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[HubProtocol, Completion] | None] = asyncio.get_running_loop().create_future()
        self.is_acknowledged = False
        self.was_acknowledged = False
        """Whether a server has said that it has the connection."""

    def over(self, connection_id: str) -> ConnectionError:
        """Say that there is no answer to come."""
        return _disconnected(connection_id) if self.was_acknowledged else _does_not_exist(connection_id)


class ClientResults:
    """The questions to the clients of one hub: those asked here, and those that clients of this server owe.

    Args:
        hub: its name.
        protocols: those that its clients may speak, by their names.
        publisher: the way to the other servers.
        roll: which there are.
        patience: seconds after which a question to another server's client is asked again, or given up.

    """

    def __init__(
        self, hub: str, protocols: Mapping[str, HubProtocol], publisher: Publisher, roll: Roll, patience: float
    ) -> None:
        self._hub = hub
        self._roll = roll
        self._protocols = protocols
        self._publisher = publisher
        self._patience = patience
        self._numbers = itertools.count(1)
        self._owed: dict[str, dict[str, Answer]] = {}
        self._asked: dict[str, _Question] = {}

    # Asking.

    async def ask(self, connection: Connection, target: str, arguments: list[Any], returns: Any) -> Any:
        """Call a method of a client that is connected here, and wait for its result.

        Raises:
            HubException: the client has answered with an error.
            ClientResultError: the result is not of the type `returns`.
            ConnectionError: the connection has ended.
            TypeError, ValueError: an argument cannot be encoded.

        """
        if connection.ending is not None:
            raise _disconnected(connection.id)
        answer: asyncio.Future[Completion | None] = asyncio.get_running_loop().create_future()
        invocation_id = f"s{next(self._numbers)}"
        payload = connection.encoding.payload(Encodings(self._protocols, Invocation(target, arguments, invocation_id)))
        if payload is None:
            raise TypeError(f"Connection '{connection.id}' takes no invocations.")
        self._expect(connection, invocation_id, lambda completion: _resolve(answer, completion))
        connection.log(
            ">",
            f"Invocation {target} {invocation_id} [{len(payload.data)} bytes]",
            message_type="Invocation",
            target=target,
            invocation_id=invocation_id,
            size=len(payload.data),
        )
        try:
            connection.write(payload)
            completion = await answer
        finally:
            self._forget(connection.id, invocation_id)
        if completion is None:
            raise _disconnected(connection.id)
        return _value(self._protocols[connection.encoding.name], completion, returns)

    async def ask_elsewhere(self, connection_id: str, target: str, arguments: list[Any], returns: Any) -> Any:
        """Call a method of a client that is connected to another server, and wait for its result.

        The server that has the connection says so at once, and says again from time to time that the client has not
        answered yet: who hears nothing of it waits no longer. That it has it no more is said at once as well, and that
        there is no such server is known.

        Raises:
            HubException: the client has answered with an error.
            ClientResultError: the result is not of the type `returns`.
            ConnectionError: no server has the connection, or not any more.
            TypeError, ValueError: an argument cannot be encoded.
            BackplaneError: the backplane is away, or takes no more messages for now.

        """
        if self._publisher.is_alone:
            raise _does_not_exist(connection_id)
        # No other server gives this id, and no client: theirs are numbers.
        invocation_id = f"s{next(self._numbers)}-{self._publisher.id}"
        encodings = dict(Encodings(self._protocols, Invocation(target, arguments, invocation_id)))
        question = self._asked[invocation_id] = _Question()
        try:
            await self._publisher.publish(
                ClientInvocation(self._hub, connection_id, invocation_id, self._publisher.id, encodings)
            )
            while not (await asyncio.wait({question.answer}, timeout=self._patience))[0]:
                if not question.is_acknowledged:
                    if trouble := self._publisher.trouble:  # the silence says nothing about the connection
                        raise BackplaneError(
                            f"Connection '{connection_id}' could not be asked, because of the backplane: {trouble}"
                        )
                    self._roll.doubt(connection_id)
                    raise question.over(connection_id)
                question.is_acknowledged = False
                await self._publisher.publish(
                    ClientInquiry(self._hub, connection_id, invocation_id, self._publisher.id)
                )
            answer = question.answer.result()
        finally:
            del self._asked[invocation_id]
            if not question.answer.done():
                self._publisher.publish_soon(
                    ClientInquiry(self._hub, connection_id, invocation_id, self._publisher.id, gives_up=True)
                )
        if answer is None:
            raise question.over(connection_id)
        protocol, completion = answer
        return _value(protocol, completion, returns)

    def acknowledge(self, invocation_id: str) -> None:
        """Learn that a server has the connection, and the client has not answered yet."""
        question = self._asked.get(invocation_id)
        if question is not None:
            question.is_acknowledged = question.was_acknowledged = True

    def handle(self, result: ClientResult) -> None:
        """Give the answer of another server's client to whoever has asked.

        Raises:
            ValueError: it is written in a protocol that this server does not know.

        """
        question = self._asked.get(result.invocation_id)
        if question is None:
            return  # nobody waits any more
        if result.completion is None:
            _resolve(question.answer, None)
            return
        protocol = self._protocols.get(result.protocol)
        if protocol is None:
            raise ValueError(f"a client's result is written as {result.protocol!r}")
        for completion in protocol.parse(bytearray(result.completion), len(result.completion)):
            if isinstance(completion, Completion):
                _resolve(question.answer, (protocol, completion))

    # Being asked.

    def obey(self, request: ClientInvocation, connection: Connection) -> Acknowledgement | None:
        """Ask a client on behalf of another server."""
        if connection.ending is not None or (payload := connection.encoding.payload(request.payloads)) is None:
            return None

        def answer(completion: Completion | None) -> None:
            protocol = self._protocols[connection.encoding.name]
            data = None if completion is None else _as_read(protocol, completion)
            self._publisher.publish_soon(
                ClientResult(self._hub, request.invocation_id, request.server, protocol.name, data)
            )

        self._expect(connection, request.invocation_id, answer)
        connection.log(
            ">",
            f"Invocation {request.invocation_id} of another server [{len(payload.data)} bytes]",
            message_type="Invocation",
            invocation_id=request.invocation_id,
            size=len(payload.data),
        )
        connection.write(payload)
        return Acknowledgement(self._hub, request.invocation_id, request.server)

    def deny(self, request: ClientInvocation) -> None:
        """Say of a client that is not here that it is nowhere, if that is known: this server had it, or nobody has."""
        if self._roll.is_of_this_server(request.connection_id):
            self._publisher.publish_soon(ClientResult(self._hub, request.invocation_id, request.server, "", None))
            return
        # What comes back of one's own comes behind whatever the others had said before.
        question = self._asked.get(request.invocation_id) if request.server == self._publisher.id else None
        if question is not None and not self._roll.may_be_elsewhere(request.connection_id):
            _resolve(question.answer, None)

    def assure(self, inquiry: ClientInquiry) -> Acknowledgement | None:
        """Tell another server that a client still owes its answer; None if it does not, or need not any more."""
        if inquiry.gives_up:
            self._forget(inquiry.connection_id, inquiry.invocation_id)
            return None
        if inquiry.invocation_id not in self._owed.get(inquiry.connection_id, {}):
            return None
        return Acknowledgement(self._hub, inquiry.invocation_id, inquiry.server)

    def complete(self, connection: Connection, completion: Completion) -> bool:
        """Take a client's answer; whether this connection owed it."""
        answer = self._forget(connection.id, completion.invocation_id)
        if answer is None:
            return False
        answer(completion)
        return True

    def end(self, connection: Connection) -> None:
        """Note that a connection has ended: the answers that it owes will not come."""
        for answer in self._owed.pop(connection.id, {}).values():
            answer(None)

    def _expect(self, connection: Connection, invocation_id: str, answer: Answer) -> None:
        self._owed.setdefault(connection.id, {})[invocation_id] = answer

    def _forget(self, connection_id: str, invocation_id: str) -> Answer | None:
        owed = self._owed.get(connection_id)
        if owed is None:
            return None
        answer = owed.pop(invocation_id, None)
        if not owed:
            del self._owed[connection_id]
        return answer


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _value(protocol: HubProtocol, completion: Completion, returns: Any) -> Any:
    """Take the result out of a completion, in the type that was asked for."""
    if completion.error is not None:
        raise HubException(completion.error)
    result = None if completion.result is UNSET else completion.result
    try:
        return protocol.convert(result, returns)
    except ValueError as error:
        name = getattr(returns, "__name__", str(returns))
        raise ClientResultError(f"{NO_RESULT} to {name}. {error}") from None


def _as_read(protocol: HubProtocol, completion: Completion) -> bytes:
    """Encode what a client has answered for the server that has asked."""
    if type(completion.result) is Unreadable:
        completion = Completion(completion.invocation_id, error=f"{NO_RESULT}. {completion.result.error}")
    write: Callable[[Completion], bytes] = getattr(protocol, "write_as_read", protocol.write)
    return write(completion)


def _does_not_exist(connection_id: str) -> ConnectionError:
    return ConnectionError(f"Connection '{connection_id}' does not exist.")


def _disconnected(connection_id: str) -> ConnectionError:
    return ConnectionError(f"Connection '{connection_id}' disconnected.")
