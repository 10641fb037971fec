"""The backplane in NATS JetStream: a stream of frames, which each server is given in their order as they come.

JetStream has no transaction over several messages, so a batch travels as one: in a frame, or in several where it is
larger than the server takes. A frame has its sender's own number. One whose acknowledgement was lost is sent again with
the same number, however much later, and every server passes over the second.
"""

import asyncio
import contextlib
import itertools
import re
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Unpack
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

import nats
from nats.aio.client import Client
from nats.errors import AuthorizationError, Error, NoServersError
from nats.js.api import ConsumerConfig, DeliverPolicy, DiscardPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.addresses import hosts_of
from asgi_signalr.backplanes.stored import MAX_BATCH, PATIENCE
from asgi_signalr.backplanes.tables import Mark, Message, NothingYet, Page, StreamOptions, TableBackplane

VERSION = 1
_EPOCHS = UUID("6f1d7e0c-5a0e-4c0c-9a4e-0f8f0a5c7b11")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = 1024  # bytes of a frame that are not payload, at most
_SENDERS = 10_000  # servers whose last frame is remembered


@dataclass(frozen=True)
class Frame(Message):
    """One message of JetStream: a piece of a batch."""

    batch: int = 0
    piece: int = 0
    pieces: int = 1


@dataclass
class Link:
    """A connection, and what it is given: the messages from a number on."""

    client: Client
    stream: JetStreamContext
    lost: "asyncio.Future[None]"  # done once the connection has ended
    given: JetStreamContext.PushSubscription | None = None
    given_from: int = 0


@dataclass
class _Assembly:
    """What a sender has sent so far of its batch."""

    last: tuple[int, int] = (0, 0)
    parts: list[bytes] = field(default_factory=list)


class NatsBackplane(TableBackplane[Link]):
    """Joins the servers that use one NATS with JetStream; `open_backplane("nats://user:password@host:4222")` makes it.

    `tls://` encrypts; several hosts of a cluster are separated by commas; a path, as in `nats://host/quiz`, is the
    stream's name, and `signalr` stands for none. Times are in seconds. `keep_seconds`, `keep_messages` and `keep_bytes`
    are the limits of the stream, and `replicas` is on how many servers of a cluster it is, when it is made; a stream
    that is there keeps its own. A message of the stream has up to 500 of the application. `poll` is the longest that a
    recreated stream goes unnoticed. The other options are those of every `StoredBackplane`.
    """

    TROUBLE: ClassVar = (OSError, Error, TimeoutError, LookupError)

    def __init__(
        self,
        url: str,
        *,
        keep_bytes: int = 1024 * 1024 * 1024,
        replicas: int = 1,
        **options: Unpack[StreamOptions],
    ) -> None:
        where = hosts_of(url) or "localhost:4222"
        parts = urlsplit(url)
        self._servers = [f"{parts.scheme}://{host}" for host in where.split(",")]
        # Not in the URLs of the servers: the driver takes what stands there without its percent signs for the password.
        user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
        known = {"user": user, "password": password} if colon else {"token": user}
        self._credentials = {name: unquote(value) for name, value in known.items() if value}
        super().__init__(where, retention_interval=3600.0, **options)
        self._name = unquote(parts.path.strip("/")) or "signalr"
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self._name):
            raise ValueError(f"{self._name!r} is no name of a stream: it has letters, digits, - and _.")
        self._stream, self._subject = f"{self._name}_messages_0", f"{self._name}.messages_0"
        if parts.query:
            given = ", ".join(sorted(repr(each.partition("=")[0]) for each in parts.query.split("&")))
            raise ValueError(f"A URL of NATS has no options, but this one has {given}.")
        self._keep_bytes = keep_bytes
        self._replicas = replicas
        self._batch_number = 0
        self._pieces: list[tuple[bytes, dict[str, str]]] = []  # not yet acknowledged
        self._assemblies: OrderedDict[UUID, _Assembly] = OrderedDict()

    # Connections.

    async def _connect(self, doing: str) -> Link:
        link = await self._link(doing)
        try:
            info = await self._install(link.stream)
            version = int((info.config.metadata or {}).get("version", VERSION))
            if version != VERSION:
                advice = "upgrade asgi-signalr here" if version > VERSION else f"delete the stream {self._stream}"
                raise BackplaneError(
                    f"The stream has version {version}, this asgi-signalr needs version {VERSION}: {advice}."
                )
        except BaseException:
            await self._close(link)
            raise
        return link

    async def _look(self) -> Link:
        link = await self._link("receiving")
        try:
            await link.stream.stream_info(self._stream)
        except NotFoundError:
            await self._close(link)
            raise NothingYet(f"{self._where} has no stream {self._stream} yet: the first server makes it") from None
        return link

    async def _link(self, doing: str) -> Link:
        troubles: list[Exception] = []
        lost = asyncio.get_running_loop().create_future()

        async def note(error: Exception) -> None:
            troubles.append(error)

        async def lose() -> None:
            if not lost.done():
                lost.set_result(None)

        try:
            async with asyncio.timeout(PATIENCE):
                client = await nats.connect(
                    self._servers,
                    **self._credentials,
                    name=f"asgi-signalr {doing} {self.sender}",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # without it the client tries on by itself
                    reconnect_time_wait=0,
                    connect_timeout=5,
                    ping_interval=5,
                    error_cb=note,
                    closed_cb=lose,
                )
        except NoServersError as error:
            raise (troubles[-1] if troubles else error) from None
        return Link(client, client.jetstream(timeout=self._patience[doing]), lost)

    async def _install(self, stream: JetStreamContext) -> StreamInfo:
        with contextlib.suppress(NotFoundError):
            return await stream.stream_info(self._stream)
        with contextlib.suppress(BadRequestError):  # another server was first
            return await stream.add_stream(
                StreamConfig(
                    name=self._stream,
                    subjects=[self._subject],
                    storage=StorageType.FILE,
                    discard=DiscardPolicy.OLD,
                    max_age=self._keep_seconds,
                    max_msgs=self._keep_messages,
                    max_bytes=self._keep_bytes,
                    num_replicas=self._replicas,
                    metadata={"version": str(VERSION)},
                )
            )
        return await stream.stream_info(self._stream)

    async def _close(self, connection: Link) -> None:
        with contextlib.suppress(*self.TROUBLE):
            async with asyncio.timeout(1):
                await connection.client.close()

    def _check(self, connection: Link) -> None:
        if connection.client.is_closed:
            raise ConnectionError("connection lost")

    async def _while_linked(self, connection: Link, work: Coroutine[Any, Any, None]) -> None:
        """Do something that ends with the connection: the client goes on waiting for the answers of one that it lost.

        Raises:
            ConnectionError: the connection has ended.

        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, connection.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionError("connection lost")
            task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # of the lost connection, as the one above is

    def _trouble(self, error: BaseException) -> str:
        if isinstance(error, NoServersError | ConnectionRefusedError):
            return f"{self._where} refuses the connection"
        if isinstance(error, AuthorizationError) or "authorization violation" in str(error).lower():
            return f"{self._where} refuses the user or the password"
        if isinstance(error, NoStreamResponseError | ServiceUnavailableError):
            return f"{self._where} has no JetStream, or it is starting: nats-server -js has it ({error})"
        return super()._trouble(error)

    # Receiving.

    async def _receive(self, connection: Link) -> None:
        await self._while_linked(connection, self._receive_pushed(connection))

    async def _pushed(self, connection: Link, count: int, seconds: float) -> list[Message]:
        given = await self._given(connection, self._last + 1)
        messages: list[Message] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while len(messages) < count and (left := until - loop.time()) > 0:
            if messages and not given.pending_msgs:
                break
            try:
                frame = _frame(await given.next_msg(left))
            except TimeoutError:
                self._check(connection)
                break
            if frame.payload_id > self._last:  # else it was given a second time
                messages.append(frame)
        if messages:
            connection.given_from = messages[-1].payload_id + 1
        return messages

    async def _given(self, connection: Link, number: int) -> JetStreamContext.PushSubscription:
        """Be given the messages from a number on, unless that is so."""
        if connection.given is None or connection.given_from != number:
            if connection.given is not None:
                await connection.given.unsubscribe()
            connection.given = await connection.stream.subscribe(
                self._subject,
                stream=self._stream,
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=number),
            )
            connection.given_from = number
        return connection.given

    async def _page(self, connection: Link, after: int | None) -> Page:
        info = await connection.stream.stream_info(self._stream)
        top = info.state.last_seq
        mark = await self._mark_of(connection, top if after is None else after)
        messages: list[Message] = []
        if after is not None and top > after and info.state.first_seq <= top:
            async with asyncio.timeout(self._patience["receiving"]):
                given, size = await self._given(connection, after + 1), 0
                while len(messages) < MAX_BATCH and size < self._page_bytes:
                    frame = _frame(await given.next_msg(self._patience["receiving"]))
                    if frame.payload_id > after:
                        messages.append(frame)
                        size += len(frame.payload)
                    if frame.payload_id >= top:
                        break
            if messages:
                connection.given_from = messages[-1].payload_id + 1
        return Page(top, _epoch_of(info), datetime.now(UTC), mark, messages)

    async def _mark_of(self, connection: Link, number: int) -> Mark | None:
        if number:
            with contextlib.suppress(NotFoundError):
                message = await connection.stream.get_msg(self._stream, number)
                if message.headers and message.time:
                    return Mark(UUID(message.headers["Signalr-Sender"]), message.time)
        return None

    def _payloads(self, message: Message) -> Iterator[bytes]:
        assert isinstance(message, Frame)  # noqa: S101  (there are no others)
        assembly = self._assemblies.setdefault(message.sender, _Assembly())
        self._assemblies.move_to_end(message.sender)
        if len(self._assemblies) > _SENDERS:
            self._assemblies.popitem(last=False)
        if (message.batch, message.piece) <= assembly.last:
            return iter(())  # its acknowledgement was lost, and it was sent again
        if message.piece == 1:
            assembly.parts.clear()
        elif assembly.last != (message.batch, message.piece - 1):
            return iter(())  # its first piece was sent before this server came
        assembly.last = (message.batch, message.piece)
        assembly.parts.append(message.payload)
        if message.piece < message.pieces:
            return iter(())
        whole = b"".join(assembly.parts)
        assembly.parts.clear()
        return _unpack(whole)

    async def _renew_epoch(self, connection: Link, epoch: UUID) -> UUID:
        info = await connection.stream.stream_info(self._stream)
        if _epoch_of(info) == epoch:
            config = info.config
            # Each server that does so at the same time gives it the same one.
            config.metadata = {**(config.metadata or {}), "version": str(VERSION), "epoch": str(epoch)}
            info = await connection.stream.update_stream(config)
            info = await connection.stream.stream_info(self._stream)
        return _epoch_of(info)

    async def _last_until(self, connection: Link, time: datetime | None) -> int:
        state = (await connection.stream.stream_info(self._stream)).state
        low, high = max(state.first_seq - 1, 0), state.last_seq
        while time is not None and low < high:
            middle = (low + high + 1) // 2
            try:
                message = await connection.stream.get_msg(self._stream, middle, subject=self._subject, next=True)
            except NotFoundError:
                high = middle - 1
                continue
            if message.time and message.seq and message.time <= time:
                low = max(middle, message.seq)
            else:
                high = middle - 1
        return low

    # Sending.

    async def _append(self, connection: Link, batch: list[bytes]) -> None:
        self._batch_number += 1
        whole = b"".join(itertools.chain.from_iterable((len(each).to_bytes(4), each) for each in batch))
        size = connection.client.max_payload - _HEADERS
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        self._pieces = [
            (
                piece,
                {
                    "Signalr-Sender": str(self.sender),
                    "Signalr-Batch": str(self._batch_number),
                    "Signalr-Piece": f"{number}/{len(pieces)}",
                },
            )
            for number, piece in enumerate(pieces, 1)
        ]
        await self._while_linked(connection, self._send_pieces(connection))

    async def _send_pieces(self, connection: Link) -> None:
        while self._pieces:
            piece, headers = self._pieces[0]
            acknowledged = await connection.stream.publish(
                self._subject, piece, stream=self._stream, headers=dict(headers)
            )
            self._confirmed = acknowledged.seq
            del self._pieces[0]

    async def _is_stored(self, connection: Link) -> bool:
        """Send again whatever of the last batch was not acknowledged; it is stored then, once or twice."""
        await self._while_linked(connection, self._send_pieces(connection))
        return True

    async def _tidy(self, connection: Link) -> float:
        return self._retention_interval  # the stream's limits do it


def _frame(message: Any) -> Frame:
    tokens = message.reply.split(".")  # $JS.ACK.[domain.account.]stream.consumer.deliveries.number.number.time.pending
    skip = 0 if len(tokens) == 9 else 2
    piece, _, pieces = message.headers["Signalr-Piece"].partition("/")
    return Frame(
        int(tokens[5 + skip]),
        message.data,
        _EPOCH + timedelta(microseconds=int(tokens[7 + skip]) // 1000),
        UUID(message.headers["Signalr-Sender"]),
        batch=int(message.headers["Signalr-Batch"]),
        piece=int(piece),
        pieces=int(pieces),
    )


def _unpack(whole: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(whole):
        end = start + 4 + int.from_bytes(whole[start : start + 4])
        yield whole[start + 4 : end]
        start = end


def _epoch_of(info: StreamInfo) -> UUID:
    """A stream that was made anew has another time, and one that has lost messages another mark."""
    return uuid5(_EPOCHS, f"{info.created} {(info.config.metadata or {}).get('epoch', '')}")
