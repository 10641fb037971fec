"""The begins of a lab's released versions, kept in the lab: what a workspace was made from is found by its digest.

Each is a zip, `exercises/NAME/begins/VERSION.zip`, written when a version is released and never changed.
"""

import io
import zipfile
from pathlib import Path

from labkit import tree
from labkit.errors import UsageError
from labkit.files import write_whole
from labkit.lab import Exercise

FOLDER = "begins"


def files_of(folder: Path) -> dict[str, bytes]:
    """The app's files of a folder, with their contents."""
    return {path: (folder / path).read_bytes() for path in tree.app_files(folder)}


def find(exercise: Exercise, digest: str) -> dict[str, bytes] | None:
    """The files of the begin with that digest: today's, or of a released version; None if the lab has none such."""
    today = files_of(exercise.begin)
    if tree.digest_of(today) == digest:
        return today
    for path in sorted((exercise.folder / FOLDER).glob("*.zip")):
        files = _read(path)
        if tree.digest_of(files) == digest:
            return files
    return None


def keep(exercise: Exercise, version: str) -> Path | None:
    """Keep today's begin as that version's; None if there is nothing new to keep.

    Raises UsageError if that version was released with another begin.
    """
    today = files_of(exercise.begin)
    path = exercise.folder / FOLDER / f"{version}.zip"
    if path.is_file():
        if _read(path) == today:
            return None
        raise UsageError(
            f"{path} has another begin: version {version} was released already.", "Choose a higher version."
        )
    write_whole(path, _zip(today))
    return path


def _read(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Bring it back from git.") from error


def _zip(files: dict[str, bytes]) -> bytes:
    """The same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
