"""A trainee's work, copied to where it is graded: plain files only, and no more of them than an app can have."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from labkit import receipts, record, tree
from labkit.grading.archives import MOST_BYTES, MOST_FILES, Unreadable

LARGE = 50_000_000
"""From how many bytes on a file is no part of an app: it is left out."""


def stage(source: Path, to: Path) -> list[str]:
    """Copy the app's files with the workspace's record and receipt, in place of an earlier copy.

    A link within the folder becomes the file that it leads to. Returns what must not be there, each as a sentence:
    links that lead out, pipes and devices, none of which is copied.

    Raises:
        Unreadable: there is more than an app can have, or it cannot be read.
    """
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    root = source.resolve()
    deeds: list[str] = []
    files, room = 0, MOST_BYTES
    try:
        for path in _files(root, "", deeds):
            there = root / path
            if (size := there.stat().st_size) > LARGE:
                continue
            files, room = files + 1, room - size
            if files > MOST_FILES:
                raise Unreadable(f"The folder has more than {MOST_FILES:,} files.")
            if room < 0:
                raise Unreadable(f"The folder has more than {MOST_BYTES // 1_000_000} MB in it.")
            target = to / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(there, target)
    except OSError as error:
        place = f" ({Path(error.filename).name})" if isinstance(error.filename, str) else ""
        raise Unreadable(f"The folder cannot be read: {error.strerror or error}{place}.") from error
    return deeds


def _files(root: Path, prefix: str, deeds: list[str]) -> Iterator[str]:
    with os.scandir(root / prefix) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = prefix + entry.name
        if not prefix and entry.name in tree.BESIDE - {record.NAME, receipts.NAME}:
            continue
        if entry.name in tree.IGNORED_FOLDERS | tree.IGNORED_FILES or entry.name.endswith(tree.IGNORED_ENDINGS):
            continue
        if not entry.is_symlink() and tree.is_tools_folder(entry.path):
            continue
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root):
                deeds.append(f"{path} is a link that leads out, to {_target(entry.path)}.")
            elif target.is_file():
                yield path
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(root, f"{path}/", deeds)
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            deeds.append(f"{path} is a pipe or a device.")


def _target(link: str) -> str:
    try:
        return str(Path(link).readlink())
    except OSError:
        return "somewhere"
