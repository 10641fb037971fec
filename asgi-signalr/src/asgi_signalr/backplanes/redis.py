"""The backplane in Redis or Valkey: a stream, and one read for each server that waits for what comes next.

Numbers, marks and the epoch are those of every `TableBackplane`, and scripts change them in one step (`redis_scripts`).
An entry names the one before it, so a server that is waiting knows from the entry alone that it has missed nothing. It
looks at the counter as well each second: a flushed or restored server wakes nobody.
"""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Unpack
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit
from uuid import UUID, uuid4

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes import redis_scripts as scripts
from asgi_signalr.backplanes.addresses import hosts_of
from asgi_signalr.backplanes.stored import MAX_BATCH, PATIENCE
from asgi_signalr.backplanes.tables import Mark, Message, NothingYet, Page, TableBackplane, TableOptions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_OPTIONS = ("stream", "decode_responses", "protocol", "socket_timeout")  # that redis-py is not to be told
_TIDY_BYTES = 16 * 1024 * 1024  # sent by this server, after which it tidies before its time


class RedisBackplane(TableBackplane[Any]):
    """Joins the servers that use one Redis or Valkey; `open_backplane("redis://:password@host:6379/0")` makes it.

    Other URLs are `rediss://` (TLS), `unix:///path/to/socket`, `redis+sentinel://host:26379,host:26379/service/0` and
    `redis+cluster://host:6379`; `valkey` may stand for `redis` in each. Behind the number of the database, or in its
    place, comes the stream's name, `signalr` if left out: `redis://host/0/quiz`, `redis://host/quiz`, or `?stream=quiz`
    for a socket. Applications with other names do not hear each other. Options of redis-py follow a question mark.

    Times are in seconds. `keep_seconds`, `keep_messages` and `keep_bytes` bound the stream, which is in
    Redis' memory, and are the longest absence of a server that loses nothing. `poll` is the longest that a
    flushed server goes unnoticed. The other options are those of every `StoredBackplane`.
    """

    TROUBLE: ClassVar = (OSError, RedisError, RedisClusterException, TimeoutError, LookupError)

    def __init__(
        self,
        url: str,
        *,
        keep_bytes: int = 256 * 1024 * 1024,
        **options: Unpack[TableOptions],
    ) -> None:
        self._address = RedisAddress(url)
        super().__init__(self._address.where, **options)
        self._keys = scripts.Keys.of(self._address.name, self.sender)
        self._keep_bytes = keep_bytes
        self._batch_number = 0
        self._bytes_since_tidying = 0

    # Connections.

    async def _connect(self, doing: str) -> Any:
        client = self._address.connect()
        try:
            async with asyncio.timeout(self._patience[doing]):
                version = await self._run(client, scripts.INSTALL, scripts.VERSION, str(uuid4()))
        except BaseException:
            await self._close(client)
            raise
        if version != scripts.VERSION:
            await self._close(client)
            advice = (
                "upgrade asgi-signalr here" if version > scripts.VERSION else f"delete the keys {self._keys.stream}…"
            )
            raise BackplaneError(
                f"The stream has version {version}, this asgi-signalr needs version {scripts.VERSION}: {advice}."
            )
        return client

    async def _look(self) -> Any:
        client = self._address.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                if not await client.exists(self._keys.counter):
                    raise NothingYet(f"{self._where} has no stream {self._address.name} yet: the first server makes it")
        except BaseException:
            await self._close(client)
            raise
        return client

    async def _close(self, connection: Any) -> None:
        try:
            async with asyncio.timeout(1):
                await connection.aclose()
        except self.TROUBLE:
            pass  # it was lost before

    async def _run(self, client: Any, script: str, *arguments: Any) -> Any:
        """Run a script, which the server keeps from the first time on."""
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            try:
                return await client.evalsha(digest, 3, *self._keys, *arguments)
            except NoScriptError:
                return await client.eval(script, 3, *self._keys, *arguments)
        except ResponseError as error:
            if "NOCOUNTER" in str(error):
                raise LookupError("the counter is missing: the server was flushed or restored") from error
            raise

    def _trouble(self, error: BaseException) -> str:
        if isinstance(error, AuthenticationError):
            return f"{self._where} refuses the user or the password: {error}"
        if isinstance(error, NoPermissionError):
            return f"no permission on {self._where}: {error}"
        if isinstance(error, MasterNotFoundError):
            # Its own words name the connections, which are others at each try.
            return f"no Sentinel at {self._where} answers and knows a main server of that name"
        if isinstance(error, RedisConnectionError) and isinstance(error.__context__, ConnectionRefusedError):
            return f"{self._where} refuses the connection"
        return super()._trouble(error)

    # Receiving.

    async def _receive(self, connection: Any) -> None:
        await self._receive_pushed(connection)

    async def _pushed(self, connection: Any, count: int, seconds: float) -> list[Message]:
        async with asyncio.timeout(seconds + self._patience["receiving"]):
            answer = await connection.xread(
                {self._keys.stream: f"{self._last}-0"}, count=count, block=max(1, round(seconds * 1000))
            )
        return [_message(entry) for entry in answer[0][1]] if answer else []

    async def _page(self, connection: Any, after: int | None) -> Page:
        async with asyncio.timeout(self._patience["receiving"]):
            top, epoch, now, mark, entries = await self._run(
                connection, scripts.READ, "" if after is None else after, MAX_BATCH, self._page_bytes
            )
        return Page(int(top), UUID(epoch.decode()), _time(now), _mark(mark), [_message(entry) for entry in entries])

    async def _renew_epoch(self, connection: Any, epoch: UUID) -> UUID:
        async with asyncio.timeout(self._patience["receiving"]):
            return UUID((await self._run(connection, scripts.RENEW, str(epoch), str(uuid4()))).decode())

    async def _last_until(self, connection: Any, time: datetime | None) -> int:
        until = 0 if time is None else round((time - _EPOCH) / timedelta(microseconds=1))
        async with asyncio.timeout(self._patience["receiving"]):
            return int(await self._run(connection, scripts.LAST_UNTIL, until))

    # Sending.

    async def _append(self, connection: Any, batch: list[bytes]) -> None:
        self._batch_number += 1
        async with asyncio.timeout(self._patience["sending"]):
            self._confirmed = await self._run(
                connection, scripts.SEND, self.sender.bytes, self._batch_number, scripts.SENDER_SECONDS, *batch
            )
        self._bytes_since_tidying += sum(map(len, batch))
        if self._bytes_since_tidying > min(_TIDY_BYTES, self._keep_bytes // 4):
            await self._tidy(connection)

    async def _is_stored(self, connection: Any) -> bool:
        """Find out whether the batch whose answer was lost is stored; one that is still on its way is refused then."""
        async with asyncio.timeout(self._patience["sending"]):
            return bool(await self._run(connection, scripts.SETTLE, self._batch_number, scripts.SENDER_SECONDS))

    async def _tidy(self, connection: Any) -> float:
        self._bytes_since_tidying = 0
        async with asyncio.timeout(self._patience["sending"]):
            await self._run(
                connection, scripts.TIDY, round(self._keep_seconds * 1_000_000), self._keep_messages, self._keep_bytes
            )
        return self._retention_interval


class RedisAddress:
    """Where a URL leads to: one server, the main one of those that Sentinels watch, or a cluster.

    Raises:
        ValueError: the URL cannot be read, names no service or too many servers, or has an option that the driver does
            not know.

    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        transport, _, self._kind = scheme.lower().replace("valkey", "redis").partition("+")
        url = f"{transport}://{rest}"
        hosts = hosts_of(url) if transport != "unix" else ""
        parts = urlsplit(url)
        path = parts.path.strip("/") if transport != "unix" else ""
        service, _, rest = path.partition("/") if self._kind == "sentinel" else ("", "", path)
        number, _, name = rest.partition("/") if rest.partition("/")[0].isdigit() else ("", "", rest)
        self.name = dict(parse_qsl(parts.query)).get("stream") or unquote(name) or "signalr"
        """The stream's."""
        # What is left is redis-py's: the number of the database, and its own options.
        options = [each for each in parts.query.split("&") if each and each.partition("=")[0] not in _OWN_OPTIONS]
        query = "&".join(options)
        left = parts.path if transport == "unix" else f"/{number}"
        self.where = parts.path if transport == "unix" else hosts or "localhost:6379"
        self._hosts = [urlsplit(f"//{host}") for host in hosts.split(",")]
        user, at, _ = parts.netloc.rpartition("@")
        self._url = urlunsplit((transport, f"{user}{at}{self._hosts[0].netloc}", left, query, ""))
        self._options: dict[str, Any] = {
            "socket_keepalive": True,
            "socket_connect_timeout": PATIENCE,
            "socket_timeout": None,  # each command has one of its own
            "protocol": 2,
        }
        if transport == "unix":
            del self._options["socket_keepalive"]
        if self._kind == "sentinel":
            if not service:
                raise ValueError("A URL of Sentinels names the service: redis+sentinel://host:26379/mymaster.")
            self._service, self._database = service, int(number or 0)
            self._query = dict(parse_qsl(parts.query))
            self._user = unquote(parts.username or "") or None
            self._password = unquote(parts.password or "") or None
            self._is_safe = transport == "rediss"
        elif self._kind not in ("", "cluster"):
            raise ValueError(f"There are redis://, redis+sentinel:// and redis+cluster://, but not redis+{self._kind}.")
        elif self._kind == "":
            if len(self._hosts) > 1:
                raise ValueError("redis:// leads to one server; to several do redis+sentinel:// and redis+cluster://.")
            self._check_options()

    def _check_options(self) -> None:
        """Make what connects: the driver looks at its options only then, which is late."""
        try:
            self.connect().connection_pool.make_connection()
        except TypeError as error:
            unknown = str(error).rpartition(" ")[2]
            raise ValueError(f"The URL has an option that redis-py does not know: {unknown}.") from None

    def connect(self) -> Any:
        """Make a client with one connection; it connects at its first command, and repeats none by itself."""
        if self._kind == "cluster":
            others = [ClusterNode(host.hostname, host.port or 6379) for host in self._hosts[1:] if host.hostname]
            return RedisCluster.from_url(self._url, startup_nodes=others, **self._options)
        once = {**self._options, "retry": Retry(NoBackoff(), 0)}
        if self._kind == "sentinel":
            of_sentinels = {"username": "sentinel_username", "password": "sentinel_password"}
            sentinels = Sentinel(  # type: ignore[no-untyped-call]
                [(host.hostname, host.port or 26379) for host in self._hosts],
                sentinel_kwargs={
                    **once,
                    "socket_timeout": 2.0,  # the next one may know
                    "ssl": self._is_safe,
                    **{name: self._query[key] for name, key in of_sentinels.items() if key in self._query},
                },
            )
            return sentinels.master_for(
                self._service,
                db=self._database,
                username=self._user,
                password=self._password,
                ssl=self._is_safe,
                max_connections=1,
                **once,
            )
        return Redis.from_url(self._url, max_connections=1, **once)


def _message(entry: Any) -> Message:
    fields = scripts.fields_of(entry)
    return Message(
        int(entry[0].partition(b"-")[0]),
        fields[b"p"],
        _time(fields[b"t"]),
        UUID(bytes=fields[b"s"]),
        before=_mark(fields[b"b"]),
    )


def _mark(mark: bytes) -> Mark | None:
    return Mark(UUID(bytes=mark[:16]), _time(mark[16:])) if mark else None


def _time(microseconds: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
