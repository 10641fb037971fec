"""Files are read as UTF-8, whatever an editor puts before it; they are written whole, and keep their line endings."""

import contextlib
import errno
import os
import secrets
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from labkit.errors import LabError, MachineError, UsageError, what_helps


def read_text(path: Path) -> str:
    """The text of one of the lab's files, with line feeds and without a byte order mark.

    Raises UsageError, which names the file and the line, if it is not in UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line} is not in UTF-8.", "Save the file as UTF-8.") from error


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def read_safely(path: Path, most: int) -> bytes:
    """What a program that is not trusted has written to a file, `most` bytes of it; nothing if that is no plain file.

    A link is not followed, and a pipe not waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


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
            there = path.stat() if path.exists() else None
            temporary.chmod(there.st_mode & 0o777 if there else mode)
            _give(temporary, there or path.parent.stat())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        refused = f"Cannot write {path}: {error.strerror or error}. Nothing was changed."
        raise MachineError(refused, what_helps(error, advice)) from error


class Within:
    """The files of one folder, by paths relative to it, with slashes.

    Nothing outside is touched: a path never leads out, and a link or a special file on the way is named in place of
    being followed. What is written is first made in `scratch`, a folder of labkit's own, and then renamed: whatever
    ends labkit leaves the old file or the new one, and nothing beside it.
    """

    def __init__(self, folder: Path, scratch: str = "") -> None:
        """Open the folder; without `scratch`, files are made beside those that they become."""
        self.folder = folder.resolve()
        self._scratch = scratch

    def read(self, path: str, most: int = -1) -> bytes | None:
        """The file's content, `most` bytes of it if given; None if it is not there.

        Raises UsageError for a path that leads out, a link, or what is no file.
        """
        with self._parent(path) as at:
            if at is None or not self._there(path, at):
                return None
            flags = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(at.name, flags, dir_fd=at.descriptor), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise self._no_file(path)
                return file.read(most)

    def write(self, path: str, content: bytes | None, mode: int = 0o644) -> None:
        """Give the file this content, in one step; None removes it. A file that is there keeps its mode.

        Raises UsageError as `read` does, MachineError if the system refuses.
        """
        try:
            with self._parent(path, make=content is not None) as at:
                if at is None:
                    return
                there = self._there(path, at)
                if content is None:
                    if there:
                        os.unlink(at.name, dir_fd=at.descriptor)
                    return
                owner = None
                if there:
                    owner = os.stat(at.name, dir_fd=at.descriptor, follow_symlinks=False)
                    mode = stat.S_IMODE(owner.st_mode)
                self._put(path, at, content, mode, owner or self.folder.stat())
        except OSError as error:
            what = error.strerror or error
            refused = f"Cannot write {self.folder / path}: {what}. Nothing was changed."
            raise MachineError(refused, what_helps(error, _ADVICE)) from error

    def names(self, path: str) -> list[str]:
        """The names in a folder of it, sorted; none if it is not there."""
        with self._parent(f"{path}/x") as at:
            if at is None:
                return []
            return sorted(os.listdir(at.descriptor if at.descriptor is not None else self.folder / path))  # noqa: PTH208  (of a descriptor)

    def move(self, path: str, to: str) -> None:
        """Rename a file or a folder of it to another path in it."""
        with self._parent(path) as source, self._parent(to, make=True) as target:
            if source is not None and target is not None:
                os.rename(source.name, target.name, src_dir_fd=source.descriptor, dst_dir_fd=target.descriptor)

    def make_folder(self, path: str) -> None:
        """Make this folder, and those above it, where they are missing."""
        with self._parent(f"{path}/x", make=True):
            pass

    def remove_folder(self, path: str) -> None:
        """Remove a folder of labkit's own with the files in it; folders in it are left."""
        for name in self.names(path):
            with contextlib.suppress(LabError):
                self.write(f"{path}/{name}", None)
        with self._parent(path) as at, contextlib.suppress(OSError):
            if at is not None:
                os.rmdir(at.name, dir_fd=at.descriptor)

    def _put(self, path: str, at: "_At", content: bytes, mode: int, owner: os.stat_result) -> None:
        place = f"{self._scratch}/{at.file}" if self._scratch else path
        with self._parent(place, make=True) as scratch:
            assert scratch is not None  # noqa: S101  (it has just been made)
            name = scratch.sibling(f".{at.file[:100]}.{secrets.token_hex(4)}.tmp")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
            try:
                with os.fdopen(os.open(name, flags, 0o600, dir_fd=scratch.descriptor), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    if sys.platform != "win32":
                        os.fchmod(file.fileno(), mode)
                        _give(file.fileno(), owner)
                os.replace(name, at.name, src_dir_fd=scratch.descriptor, dst_dir_fd=at.descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=scratch.descriptor)
                raise

    @contextmanager
    def _parent(self, path: str, make: bool = False) -> "Iterator[_At | None]":
        """The folder of a path, opened component by component; None if one is missing and not to be made."""
        parts = self._parts(path)
        with contextlib.ExitStack() as stack:
            descriptor: int | None = None
            if _DESCRIPTORS:
                descriptor = os.open(self.folder, os.O_RDONLY | _FOLDER)
                stack.callback(os.close, descriptor)
            so_far = self.folder
            for part in parts[:-1]:
                so_far /= part
                name = part if descriptor is not None else str(so_far)
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                try:
                    kind = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except FileNotFoundError:
                    yield None
                    return
                if _is_link(kind):
                    raise self._link(so_far)
                if not stat.S_ISDIR(kind.st_mode):
                    if make:
                        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(so_far))
                    yield None
                    return
                if descriptor is not None:
                    try:
                        descriptor = os.open(name, os.O_RDONLY | _FOLDER | _NO_LINK, dir_fd=descriptor)
                    except FileNotFoundError:  # another command has removed it in this moment
                        if make:
                            raise
                        yield None
                        return
                    stack.callback(os.close, descriptor)
            yield _At(descriptor, parts[-1], so_far)

    def _parts(self, path: str) -> tuple[str, ...]:
        pure = PureWindowsPath(path) if sys.platform == "win32" else PurePosixPath(path)
        if not pure.parts or pure.is_absolute() or pure.drive or ".." in pure.parts or "\0" in path:
            raise UsageError(
                f"“{path}” lies outside {self.folder}: nothing was changed.", "Remove what names that file."
            )
        return pure.parts

    def _there(self, path: str, at: "_At") -> bool:
        try:
            kind = os.stat(at.name, dir_fd=at.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if _is_link(kind):
            raise self._link(self.folder / path)
        if not stat.S_ISREG(kind.st_mode):
            raise self._no_file(path)
        return True

    def _link(self, path: Path) -> UsageError:
        name = path.relative_to(self.folder).as_posix()
        return UsageError(
            f"{name} is a link: labkit neither follows nor replaces it. Nothing was changed.",
            f"Put the file itself in its place, then repeat the command: {path}",
        )

    def _no_file(self, path: str) -> UsageError:
        return UsageError(
            f"{path} is a folder, a pipe or a device where a file belongs. Nothing was changed.",
            f"Remove it, then repeat the command: {self.folder / path}",
        )


def _give(file: "Path | int", owner: os.stat_result) -> None:
    """Let a file that root has written belong to whom the one before it did, or to the folder's owner (sudo)."""
    if sys.platform != "win32" and os.geteuid() == 0:
        os.chown(file, owner.st_uid, owner.st_gid)


@dataclass(frozen=True)
class _At:
    """A folder that is open, and the name of a file in it; without descriptors, as on Windows, by its whole path."""

    descriptor: int | None
    file: str
    folder: Path

    @property
    def name(self) -> str:
        return self.sibling(self.file)

    def sibling(self, name: str) -> str:
        """Another name in the same folder, as the system's calls take it."""
        return name if self.descriptor is not None else str(self.folder / name)


_DESCRIPTORS = os.open in os.supports_dir_fd

_FOLDER = getattr(os, "O_DIRECTORY", 0)


def _is_link(kind: os.stat_result) -> bool:
    """Whether this is a symbolic link, or a junction of Windows."""
    junction = getattr(kind, "st_reparse_tag", 0) == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
    return stat.S_ISLNK(kind.st_mode) or junction


_held = threading.local()


@contextmanager
def locked(path: Path, patience: float = 60.0) -> Iterator[None]:
    """Be the only one in this block who locks that file, on this machine; the file stays.

    Whoever has it may lock it again. Others are waited for, `patience` seconds at most; raises MachineError then.
    """
    mine: set[Path] = _held.__dict__.setdefault("paths", set())
    if path in mine:
        yield
        return
    with _lock(path, patience):
        mine.add(path)
        try:
            yield
        finally:
            mine.discard(path)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock on a file, at this moment."""
    try:
        with path.open("ab") as file:
            return _take(file)
    except OSError:
        return False


@contextmanager
def _lock(path: Path, patience: float) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Where links can be made, this is the wrong file if it is one.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, 0o644), "ab") as file:
        until, pause = time.monotonic() + patience, 0.001
        while not _take(file):
            if time.monotonic() > until:
                raise MachineError(
                    f"Another labkit command has kept {path.parent} to itself for {patience:g} s.",
                    "Wait until it has ended, or end it; then repeat the command.",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        try:
            yield
        finally:
            if sys.platform == "win32":  # elsewhere, closing it does
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)


def _take(file: IO[bytes]) -> bool:
    """Lock a file, if nobody else does."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
