"""Files are written whole, and keep their line endings."""

import os
import tempfile
from pathlib import Path

from labkit.errors import MachineError

_ADVICE = "Free some disk space or choose a folder that you may write to, then repeat the command."


def write_whole(path: Path, content: bytes, advice: str = _ADVICE) -> None:
    """Replace the file in one step (temporary file, then rename), so that a full disk or Ctrl-C leaves the old one.

    Raises MachineError with the advice.
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
                temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(f"Cannot write {path}: {error.strerror or error}. Nothing was changed.", advice) from error
