"""The backplane in PostgreSQL: the table is the truth, NOTIFY only the bell.

Two tasks, each with a connection of its own. The *sender* appends what was published, everything that queued up
meanwhile in one statement. The *receiver* listens, and on each bell, and every few seconds without one, reads what
follows the last number that it has delivered: its own server's messages come that way too, so every server delivers
the same messages in the same order. A lost connection costs nothing but time: the receiver goes on after its last
number, the sender finds out whether its last statement was carried out before it repeats it.

What can be lost is said, through `on_gap` and in the log: messages deleted by retention before this server
came back, and tables that were dropped, or restored from a backup.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import asyncpg

from asgi_signalr.backplanes import BackplaneError, Deliver, OnGap
from asgi_signalr.backplanes import postgres_schema as schema

logger = logging.getLogger("asgi_signalr.backplane")

MAX_PAYLOAD = 64 * 1024 * 1024
_MAX_BATCH = 500
_MAX_BYTES = 4 * 1024 * 1024  # of one statement or one read, unless a single message is larger
_MISSING_DATABASE_DELAY = 2.0
_COMMAND_TIMEOUT = 10.0
_TURN = 0.005  # seconds that deliveries may take before others get their turn on the event loop

# What a database that is away, starting, restored or not yet prepared answers.
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, LookupError)


class PostgresBackplane:
    """Joins the servers that use one database; `open_backplane("postgresql://user:password@host/database")` makes it.

    The database must exist; the tables are made on first use. Sending and receiving survive restarts of the
    database; meanwhile up to `queue_limit` payloads (and `queue_bytes`) wait, then `publish` raises.

    Times are in seconds. `poll` is the longest that a message can take when a bell was missed; `keep_seconds` and
    `keep_messages` bound the table, and are the longest absence of a server that loses nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        on_gap: OnGap | None = None,
        queue_limit: int = 10_000,
        queue_bytes: int = 64 * 1024 * 1024,
        poll: float = 3.0,
        keep_seconds: float = 86_400.0,
        keep_messages: int = 100_000,
        retention_interval: float = 60.0,
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._database = unquote(parts.path.lstrip("/")) or unquote(parts.username or "")
        _ = parts.port  # raises ValueError for what is no number
        self._where = parts.netloc.rpartition("@")[2] or "the default server"
        self.on_gap = on_gap
        self._queue_limit = queue_limit
        self._queue_bytes = queue_bytes
        self._poll = poll
        self._keep_seconds = keep_seconds
        self._keep_messages = keep_messages
        self._retention_interval = retention_interval

        self.sender = uuid4()
        self._deliver: Deliver | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._said: dict[str, str] = {}
        self._listen_refusal_said = False

        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._confirmed = 0
        self._unsure = 0  # how many payloads at the queue's head may be in the table already

        self._bell = asyncio.Event()
        self._first_try: asyncio.Future[None] | None = None
        self._positioned = asyncio.Event()
        self._last = 0
        self._epoch: UUID | None = None

    # What an application calls.

    async def start(self, deliver: Deliver) -> None:
        """Begin to receive; a database that does not answer is logged and tried again, not raised.

        Raises:
            BackplaneError: the tables are of another version than this code.

        """
        self._deliver = deliver
        self._drained.set()
        self._first_try = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._for_ever("receiving", self._receive), name="signalr-backplane-receive"),
            asyncio.create_task(self._for_ever("sending", self._send), name="signalr-backplane-send"),
        ]
        try:
            await asyncio.wait({self._first_try}, timeout=_COMMAND_TIMEOUT)
            if self._first_try.done():
                self._first_try.result()
        except BaseException:
            await self._end()
            raise

    async def publish(self, payload: bytes) -> None:
        """Queue a payload for the next statement.

        Raises:
            BackplaneError: the queue is full, because the database is away; or the payload is over 64 MiB, or the
                backplane is not started.

        """
        if self._deliver is None:
            raise BackplaneError("The backplane is not started.")
        if len(payload) > MAX_PAYLOAD:
            raise BackplaneError(f"A message of {len(payload)} bytes is too large: {MAX_PAYLOAD} is the limit.")
        full = len(self._queue) >= self._queue_limit or self._queued_bytes + len(payload) > self._queue_bytes
        if full and self._queue:
            raise BackplaneError(
                f"The message was not sent to the other servers, because the backplane's queue is full "
                f"({len(self._queue)} messages, {self._queued_bytes} bytes): "
                f"{self._said.get('sending') or self._said.get('receiving') or 'the database does not keep up'}"
            )
        self._queue.append(payload)
        self._queued_bytes += len(payload)
        self._drained.clear()
        self._work.set()

    async def stop(self) -> None:
        """Send what is queued if that takes no more than two seconds, then let go."""
        if self._deliver is None:
            return
        if not self._said:
            await _wait(self._drained, 2.0)
        await self._end()
        if self._queue:
            self._gap(f"{len(self._queue)} messages were not sent: the backplane was stopped without its database.")

    async def _end(self) -> None:
        self._deliver = None
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Again if need be: a driver's time-out may swallow a cancellation that comes in the same moment.
            _, pending = await asyncio.wait(pending, timeout=2.0)
        self._tasks = []

    # Both tasks: connect, work until something goes wrong, wait, again.

    async def _for_ever(self, doing: str, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        failures = 0
        while self._deliver is not None:
            connection = None
            try:
                connection = await self._connect(doing)
                await schema.install(connection)
                if doing == "sending":
                    await self._positioned.wait()
                failures = 0
                await work(connection)
            except Exception as error:  # noqa: BLE001  (whatever happens, it is said, and this goes on)
                failures += 1
                missing = isinstance(error, asyncpg.InvalidCatalogNameError)
                delay = _MISSING_DATABASE_DELAY if missing else self._delay(failures)
                self._say(doing, self._trouble(error), f"trying again in {max(delay, 0.1):.2g} s")
                if doing == "receiving" or isinstance(error, BackplaneError):
                    self._tried(error if isinstance(error, BackplaneError) else None)
            finally:
                if connection is not None:
                    await _close(connection)
            await asyncio.sleep(delay)

    def _tried(self, error: BackplaneError | None = None) -> None:
        """The first try is over: `start` returns, or raises what no repeating would mend."""
        if self._first_try is None or self._first_try.done():
            return
        if error is not None:
            self._first_try.set_exception(error)
        else:
            self._first_try.set_result(None)

    async def _connect(self, doing: str) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self._url,
            timeout=_COMMAND_TIMEOUT,
            command_timeout=_COMMAND_TIMEOUT,
            server_settings={"application_name": self._application_name(doing)},
        )
        try:
            # A statement that waits for a lock gives up before its server here does.
            await connection.execute("SET lock_timeout = '5s'; SET statement_timeout = '9s'")
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _application_name(self, doing: str) -> str:
        return f"asgi-signalr {doing} {self.sender}"

    def _delay(self, failures: int) -> float:
        """Back-off from a tenth of a second to ten, with jitter: servers that lost one database return one by one."""
        return float(min(0.1 * 2 ** min(failures - 1, 10), 10.0) * random.uniform(0.5, 1.0))

    def _trouble(self, error: BaseException) -> str:
        """What is wrong, for the log: never with the URL, which has the password."""
        if isinstance(error, asyncpg.InvalidCatalogNameError):
            return f'database "{self._database}" does not exist on {self._where}: create it'
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            return f'no permission in database "{self._database}" on {self._where}: {error}'
        if isinstance(error, BackplaneError):
            return f'database "{self._database}" on {self._where}: {error}'
        if isinstance(error, TimeoutError):
            return f"{self._where} does not answer"
        if isinstance(error, ConnectionRefusedError):
            return f"{self._where} refuses the connection"
        if not isinstance(error, _TROUBLE):
            logger.exception("the backplane met something unexpected")
        return f"{self._where}: {error or type(error).__name__}"

    def _say(self, doing: str, trouble: str, then: str = "") -> None:
        """Log a trouble once, not at every try; both tasks have the same one as a rule."""
        news = trouble not in self._said.values()
        self._said[doing] = trouble
        logger.log(logging.WARNING if news else logging.DEBUG, "; ".join(filter(None, [trouble, then])))

    def _say_well(self, doing: str) -> None:
        if self._said.pop(doing, None) and not self._said:
            logger.info('database "%s" on %s: connected again', self._database, self._where)

    def _gap(self, what: str) -> None:
        logger.warning("messages may be lost: %s", what)
        if self.on_gap is not None:
            self.on_gap(what)

    # Receiving.

    async def _receive(self, connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(self._ring)
        # LISTEN comes before the position is read: what is sent in between rings.
        listening = await self._listen(connection)
        if self._epoch is None:
            page = await schema.read(connection, 2**62, 1)
            self._last = self._confirmed = page.top
            self._epoch = page.epoch
            self._positioned.set()
        self._tried()
        pause = self._poll if listening else 0.1
        while True:
            self._bell.clear()
            received = await self._catch_up(connection)
            self._say_well("receiving")
            if not listening:
                pause = 0.1 if received else min(pause * 2, 1.0, self._poll)
            await _wait(self._bell, pause)

    def _ring(self, *_: object) -> None:
        self._bell.set()

    async def _listen(self, connection: asyncpg.Connection) -> bool:
        try:
            await connection.add_listener(schema.CHANNEL, self._ring)
        except asyncpg.PostgresError as error:
            # A standby and some poolers refuse it.
            if not self._listen_refusal_said:
                self._listen_refusal_said = True
                logger.warning("%s refuses LISTEN (%s): polling instead, which is slower", self._where, error)
            return False
        return True

    async def _catch_up(self, connection: asyncpg.Connection) -> bool:
        """Deliver everything that follows the last number; whether there was anything."""
        received = False
        limit = 16  # until it is known how large these messages are
        while True:
            page = await schema.read(connection, self._last, limit)
            if page.epoch != self._epoch:
                self._gap("the backplane's tables were made anew.")
                self._epoch, self._last, self._confirmed = page.epoch, 0, 0
                continue
            if page.top < self._last:
                self._gap(f"the database went back from message {self._last} to {page.top} (restored from a backup?).")
                self._last = self._confirmed = page.top
                continue
            for message in page.messages:
                if message.payload_id != self._last + 1:
                    self._gap(
                        f"messages {self._last + 1} to {message.payload_id - 1} were deleted before they were read."
                    )
                self._last = message.payload_id
            if not page.messages and page.top > self._last:
                self._gap(f"messages {self._last + 1} to {page.top} were deleted before they were read.")
                self._last = page.top
            await self._deliver_all(page.messages)
            received = received or bool(page.messages)
            if self._last >= page.top:
                return received
            largest = max((len(message.payload) for message in page.messages), default=1)
            limit = max(1, min(_MAX_BATCH, _MAX_BYTES // max(largest, 1)))

    async def _deliver_all(self, messages: list[schema.Message]) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.time() + _TURN
        for message in messages:
            if self._deliver is None:
                return
            try:
                self._deliver(message.payload)
            except Exception:
                logger.exception("message %d could not be delivered", message.payload_id)
            if loop.time() > turn:
                await asyncio.sleep(0)
                turn = loop.time() + _TURN

    # Sending.

    async def _send(self, connection: asyncpg.Connection) -> None:
        if self._unsure:
            await self._make_sure(connection)
        connection.add_termination_listener(lambda _: self._work.set())
        loop = asyncio.get_running_loop()
        next_retention = loop.time() + self._retention_interval * random.uniform(0, 1)
        while True:
            self._say_well("sending")
            await _wait(self._work, max(next_retention - loop.time(), 0))
            if connection.is_closed():
                raise ConnectionError("connection lost")
            if self._queue:
                await self._send_batch(connection)
            else:
                self._work.clear()
            if loop.time() >= next_retention:
                full = 1000
                deleted = await schema.delete_old(connection, self._keep_seconds, self._keep_messages, full)
                next_retention = loop.time() + (0 if deleted == full else self._retention_interval)

    async def _send_batch(self, connection: asyncpg.Connection) -> None:
        batch: list[bytes] = []
        size = 0
        for payload in self._queue:
            size += len(payload)
            if batch and (size > _MAX_BYTES or len(batch) == _MAX_BATCH):
                break
            batch.append(payload)
        self._unsure = len(batch)
        self._accept(await schema.send(connection, batch, self.sender))

    def _accept(self, last: int) -> None:
        """The unsure payloads are in the table, the last one under this number."""
        self._confirmed = last
        for _ in range(self._unsure):
            self._queued_bytes -= len(self._queue.popleft())
        self._unsure = 0
        if not self._queue:
            self._drained.set()

    async def _make_sure(self, connection: asyncpg.Connection) -> None:
        """Find out whether the last statement was carried out although its answer was lost.

        A batch is one transaction, so one message of it tells for all. The statement must not be carried out after
        we looked: where the old connection's process still runs in the database, it is ended first.
        """
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = $1 AND pid <> pg_backend_pid()",
            self._application_name("sending"),
        )
        last = await schema.sent_since(connection, self._confirmed, self.sender)
        if last is not None:
            self._accept(last)
        self._unsure = 0


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, up to a number of seconds."""
    # Not wait_for: before Python 3.12 it may swallow a cancellation.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1)
    except _TROUBLE:
        connection.terminate()
