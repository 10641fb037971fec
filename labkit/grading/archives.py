"""Archives of trainees' work, unpacked without trusting them: nothing outside is written, and all of it is bounded."""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from labkit import tree

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
FOREIGN = (".7z", ".rar", ".gz", ".xz", ".bz2", ".zst")
"""Archives that labkit does not read, but knows for what they are."""

MOST_FILES = 10_000
MOST_BYTES = 300_000_000
"""How many files an archive may have, and how many bytes in all, once unpacked."""


class Unreadable(Exception):  # noqa: N818  (a finding about somebody's work, no fault of the program)
    """Why a piece of work cannot be taken in, as a sentence."""


@dataclass(frozen=True)
class _Entry:
    name: str
    opened: Callable[[], IO[bytes] | None]
    link: str | None = None


def is_archive(path: Path) -> bool:
    """Whether the file's name is that of an archive, of any kind."""
    return path.name.lower().endswith((*ZIPS, *TARS, *FOREIGN))


def stem(path: Path) -> str:
    """The archive's name without its ending."""
    endings = sorted((*ZIPS, *TARS, *FOREIGN), key=len, reverse=True)
    ending = next((each for each in endings if path.name.lower().endswith(each)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


_OF_TOOLS = tree.IGNORED_FOLDERS - {".labkit"} | {"site-packages"}
"""Folders that are left out, wherever they are."""


def unpack(archive: Path, folder: Path, everything: bool = False) -> list[str]:
    """Unpack an archive into a new folder; returns what it tried and must not, each as a sentence.

    Links are left out, and so are the folders that tools leave beside an app (`.venv`, `.git`) and Python's packages,
    unless `everything` is wanted.

    Raises:
        Unreadable: it is damaged, locked by a password, too large, or of a kind that labkit does not read.
    """
    folder.mkdir(parents=True)
    deeds: list[str] = []
    files, room = 0, MOST_BYTES
    try:
        with _entries(archive) as entries:
            for entry in entries:
                path = _path_of(entry.name)
                if path is None:
                    deeds.append(f"The archive has a file that would lie outside of it: {entry.name}.")
                    continue
                if not everything and _OF_TOOLS & {*path.parts[:-1]}:
                    continue
                if entry.link is not None:
                    if _leads_out(path, entry.link):
                        deeds.append(f"{path} is a link that leads out, to {entry.link}.")
                    continue
                files += 1
                if files > MOST_FILES:
                    raise Unreadable(f"The archive has more than {MOST_FILES:,} files.")
                room -= _write(entry, folder / path, room)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
        raise Unreadable(f"The archive is damaged: {str(error).partition(chr(10))[0].rstrip(':')}.") from error
    except (RuntimeError, NotImplementedError) as error:
        locked = "password" in str(error) or "encrypted" in str(error)
        reason = "is locked by a password" if locked else f"cannot be unpacked: {error}"
        raise Unreadable(f"The archive {reason}.") from error
    except OSError as error:
        raise Unreadable(f"The archive cannot be unpacked: {error.strerror or error}.") from error
    except Exception as error:
        # What a decompressor makes of damaged data has many names (zlib.error, lzma.LZMAError).
        if type(error).__module__ in ("zlib", "_lzma", "lzma"):
            raise Unreadable(f"The archive is damaged: {error}.") from error
        raise
    return deeds


@contextmanager
def _entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    name = archive.name.lower()
    if name.endswith(ZIPS):
        with zipfile.ZipFile(archive) as opened:
            yield _of_zip(opened)
    elif name.endswith(TARS):
        with tarfile.open(archive, "r:*") as opened_tar:
            yield _of_tar(opened_tar)
    else:
        raise Unreadable(f"labkit does not read archives of this kind: {archive.name}. Ask for a zip.")


def _of_zip(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        link = None
        if stat.S_ISLNK(info.external_attr >> 16):
            with archive.open(info) as file:
                link = file.read(4096).decode("utf-8", "replace")
        yield _Entry(info.filename, partial(archive.open, info), link)


def _of_tar(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for member in archive:
        if member.issym() or member.islnk():
            yield _Entry(member.name, lambda: None, member.linkname)
        elif member.isfile():
            yield _Entry(member.name, partial(archive.extractfile, member))
        # Folders follow from their files; pipes and devices are nobody's work.


def _path_of(name: str) -> PurePosixPath | None:
    """The path that an entry's name means; None if it leads out."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    drive = parts and len(parts[0]) > 1 and parts[0][1] == ":"
    if not parts or path.is_absolute() or ".." in parts or drive or any("\0" in part for part in parts):
        return None
    return PurePosixPath(*parts)


def _leads_out(path: PurePosixPath, target: str) -> bool:
    """Whether a link's target lies outside of the archive, read as text: nothing is looked up on this disk."""
    if target.startswith(("/", "\\")) or target[1:2] == ":":
        return True
    depth = len(path.parts) - 1
    for part in PurePosixPath(target.replace("\\", "/")).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _write(entry: _Entry, to: Path, room: int) -> int:
    """Write one file, and return its size; what it says of its size itself is not believed."""
    opened = entry.opened()
    if opened is None:
        return 0
    written = 0
    to.parent.mkdir(parents=True, exist_ok=True)
    with opened as source, to.open("wb") as target:
        while block := source.read(1 << 20):
            written += len(block)
            if written > room:
                raise Unreadable(f"The archive has more than {MOST_BYTES // 1_000_000} MB in it.")
            target.write(block)
    return written
