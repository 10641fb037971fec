"""What tells a forged verdict where nothing keeps the app from the checks: see `docs/sandbox.md`.

Each message of the checking process carries a seal that only it and the command can make; and the files that make the
verdicts are the same after the run as before.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

import labkit
from labkit.errors import MachineError

_BYTES = 32


class Sealer:
    """Seals lines one after the other; both sides have one with the same key, and count the lines.

    A line that is left out, sent twice or made by others has another seal than is expected.
    """

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)
        self._count = 0

    def seal(self, line: bytes) -> bytes:
        """The line with its seal before it."""
        return self._of(line) + line

    def open(self, sealed: bytes) -> bytes | None:
        """The line that was sealed; None for one that the other side has not made."""
        seal, line = sealed[: 2 * _BYTES], sealed[2 * _BYTES :]
        return line if hmac.compare_digest(seal, self._of(line)) else None

    def _of(self, line: bytes) -> bytes:
        self._count += 1
        return hmac.new(self._key, b"%d " % self._count + line, hashlib.sha256).hexdigest().encode()


class Originals:
    """The files that make verdicts, as they are now: the checks, what they share, and labkit itself."""

    def __init__(self, checks: Path) -> None:
        self._places = (checks, checks.parent.parent, Path(labkit.__file__).parent)
        self._before = self._state()

    def check(self) -> None:
        """Raise MachineError if one of them has been written to since."""
        now = self._state()
        changed = sorted(path for path in now.keys() | self._before.keys() if now.get(path) != self._before.get(path))
        if changed:
            raise MachineError(
                f"{changed[0]} was written to while the checks ran, by the app or by somebody who edits it: "
                "nothing of this run counts.",
                "If nobody edits it, look at the code of the app before you run it again, and install labkit anew.",
            )

    def _state(self) -> dict[Path, tuple[int, int, bytes]]:
        checks, lab, own = self._places
        files = [*_python(checks.rglob("*.py")), *_python(lab.glob("*.py")), *_python(own.rglob("*.py"))]
        return {path: state for path in files if (state := _state(path))}


def _python(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _state(path: Path) -> tuple[int, int, bytes] | None:
    """When the file was written to, by what only the system can set where it tells that, and its content."""
    try:
        status = path.stat()
        return status.st_ctime_ns, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
