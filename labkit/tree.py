"""The files of an app folder: what its author wrote, without what tools leave beside it."""

import contextlib
import hashlib
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from labkit.errors import UsageError

IGNORED_FOLDERS = frozenset(
    {
        ".git",
        ".idea",
        ".labkit",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".venv",
        ".vscode",
        "__pycache__",
        "node_modules",
    }
)
IGNORED_FILES = frozenset({".DS_Store", "Thumbs.db", "uv.lock"})

BESIDE = frozenset(
    {".gitignore", "lab-receipt.json", "lab-verdicts.json", "lab-workspace.toml", "manual", "uv.toml", "wheels"}
)
"""What labkit puts beside the app, in the workspace's own folder and nowhere below."""

OF_THE_LAB = ".lab-new"

IGNORED_ENDINGS = (
    *(".pyc", ".db", ".db-wal", ".db-shm"),
    *("~", ".orig", ".rej", ".bak", ".swp", ".swo"),
    OF_THE_LAB,
)
"""What running an app leaves, compiled code and data; what editors and merges leave beside a file; and the lab's files
that `labkit update` puts beside yours.
"""

HUGE = 200_000_000
"""From how many bytes on a file is no part of an app: a film, a disk image, a log that never ended."""

LARGE = 1_000_000
"""From how many bytes on nobody has written a file, and nobody wants to see it."""

MOST_CODE = 8_000_000
"""How many bytes of an app are looked through for code, the smallest files first: the others are data."""

MOST_FILES = 2000
"""How many files of an app are looked through for code, those of the folders with the fewest files first."""


def is_tools_folder(path: str | Path) -> bool:
    """Whether a folder is what tools have made beside an app: by its name, or as an environment of Python's."""
    return os.path.basename(path) in IGNORED_FOLDERS or os.path.exists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH118, PTH119, PTH110  (for each folder of a workspace)


def _is_file(entry: "os.DirEntry[str]", most: float) -> bool:
    try:
        return entry.is_file() and entry.stat().st_size < most
    except OSError:  # a link that leads to itself
        return False


def app_files(folder: Path, most: float = HUGE) -> Iterator[str]:
    """Yield the app's files as sorted paths relative to `folder`, with forward slashes.

    A link to a file counts as the file, as it does for the app; links to folders may go in circles and are left out,
    and so are files of `most` bytes or more.
    Raises UsageError if there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Restore it.")

    def walk(path: str, prefix: str) -> Iterator[str]:
        try:
            with os.scandir(path) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:  # it went after its parent was listed
            return
        for entry in ordered:
            if not prefix and entry.name in BESIDE:
                continue
            if entry.is_dir(follow_symlinks=False):
                if not is_tools_folder(entry.path):
                    yield from walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.name not in IGNORED_FILES and not entry.name.endswith(IGNORED_ENDINGS) and _is_file(entry, most):
                yield prefix + entry.name

    yield from walk(str(folder), "")


def code_files(folder: Path) -> list[str]:
    """Those of the app's files that somebody may have written, in their order: none is large, nor are all together.

    Of thousands, those of a folder with thousands of files are left out: they are data.
    """
    sizes = {}
    for path in app_files(folder, LARGE):
        with contextlib.suppress(OSError):  # it went after the folder was listed
            sizes[path] = (folder / path).stat().st_size
    if len(sizes) > MOST_FILES:
        beside = Counter(path.rpartition("/")[0] for path in sizes)
        fewest = sorted(sizes, key=lambda path: beside[path.rpartition("/")[0]])[:MOST_FILES]
        kept = set(fewest)
        sizes = {path: size for path, size in sizes.items() if path in kept}
    if sum(sizes.values()) <= MOST_CODE:
        return list(sizes)
    chosen, room = set(), MOST_CODE
    for path in sorted(sizes, key=lambda path: sizes[path]):
        room -= sizes[path]
        if room < 0:
            break
        chosen.add(path)
    return [path for path in sizes if path in chosen]


def digest(folder: Path) -> str:
    """A number for the app's files, their paths and contents: SHA-256, in hexadecimal digits."""
    paths = list(app_files(folder))
    return _digest((path, folder / path) for path in paths)


def digests(folder: Path) -> dict[str, str]:
    """The digest of each of the app's files, by its path."""
    return {path: _digest([(path, folder / path)]) for path in app_files(folder)}


def digest_of(files: Mapping[str, bytes]) -> str:
    """The same for files that are no folder, by their paths; the order is that of `app_files`."""
    return _digest(sorted(files.items(), key=lambda file: file[0].split("/")))


def _digest(files: Iterable[tuple[str, Path | bytes]]) -> str:
    whole = hashlib.sha256()
    for path, content in files:
        with contextlib.suppress(FileNotFoundError):  # it went after the folder was listed
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            whole.update(f"{path}\0{size}\0".encode("utf-8", "surrogateescape"))
            if isinstance(content, bytes):
                whole.update(content)
                continue
            with content.open("rb") as file:
                while block := file.read(1 << 20):
                    whole.update(block)
    return whole.hexdigest()


def read(path: Path, most: int = LARGE) -> bytes:
    """What a file has in it, to be compared or shown; from `most` bytes on a stand-in, no text and as unique."""
    if path.stat().st_size < most:
        return path.read_bytes()
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return b"\0" + whole.digest()


def text(content: bytes) -> str | None:
    """Decode a text file, its byte order mark and line endings kept; None for anything else."""
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def nearby(path: Path) -> str:
    """A path as a person would type it from the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return relative if relative.count("..") < 2 else str(path)


def argument(path: Path) -> str:
    """The same as an argument of a command."""
    text = nearby(path)
    return quoted(f"./{text}" if text.startswith(("-", "~")) else text)  # else an option, or somebody's home


def quoted(text: str) -> str:
    """A word of a command, in quotes where a shell would take it for more than one."""
    if re.fullmatch(r"[\w@%+=:,./~-]+", text if sys.platform != "win32" else text.replace("\\", "/")):
        return text
    return shlex.quote(text) if sys.platform != "win32" and re.search(r'["$`\\!]', text) else f'"{text}"'
