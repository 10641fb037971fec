"""Files are read as UTF-8, whatever an editor puts before it; they are written whole, and keep their line endings."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import MachineError, UsageError


def read_text(path: Path) -> str:
    """The text of one of the lab's files, with line feeds and without a byte order mark.

    Raises UsageError, which names the file and the line, if it is not in UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line} is not in UTF-8.", "Save the file as UTF-8.") from error


_ADVICE = "Free some disk space or choose a folder that you may write to, then repeat the command."


def write_whole(path: Path, content: bytes, advice: str = _ADVICE, mode: int = 0o644) -> None:
    """Replace the file in one step (temporary file, then rename), so that a full disk or Ctrl-C leaves the old one.

    A file that is there keeps its mode, a new one gets `mode`. Raises MachineError with the advice.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                temporary.chmod(path.stat().st_mode & 0o777)
            else:
                temporary.chmod(mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(f"Cannot write {path}: {error.strerror or error}. Nothing was changed.", advice) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one in this block who locks that file, on this machine; wait for whoever is; the file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            while True:
                with contextlib.suppress(OSError):  # it gives up after ten tries, one a second
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
            yield
