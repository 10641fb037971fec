"""Handing in: one zip of a trainee's work, with whose it is, what it was made from, and the last verdicts."""

import fnmatch
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from slugify import slugify

from labkit import __version__, companions, documents, receipts, record, tree, verdicts
from labkit.errors import MachineError, UsageError
from labkit.lab import Exercise
from labkit.workspace import Workspace

VERDICTS = "lab-verdicts.json"
"""The file in the zip that says whose work it is, when it was packed, and what verify said last."""

SECRETS = (".env", ".env.*", ".netrc", "*.key", "*.pem", "*.p12", "id_rsa", "id_ed25519")
"""Names of files that hold secrets; those of the exercise itself are none."""

LARGE = 20_000_000
"""A file with more bytes than this is no code: it is left out, and named."""


@dataclass(frozen=True)
class Packed:
    """What was packed: the zip, its files, and each file that was left out with the reason."""

    file: Path
    files: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    size: int


def default_file(here: Workspace, trainee: str | None) -> Path:
    """Where the zip goes if nobody says it: beside the workspace, named after the exercise and the trainee.

    Without a name it is the workspace's own number, so that nobody's zip takes the place of another's in one folder.
    """
    return here.folder.parent / f"{_stem(here, trainee)}.zip"


def pack(here: Workspace, exercise: Exercise, file: Path, trainee: str | None, now: datetime) -> Packed:
    """Write the zip whole, in place of an earlier one; the trainee's name is kept in the workspace's record.

    Raises UsageError if the file is something else than such a zip, or would lie among the work; MachineError if it
    cannot be written.
    """
    file = file.resolve()
    if file.is_relative_to(here.folder):
        raise UsageError(
            f"{file} would lie in your workspace, and be handed in itself the next time.",
            f"labkit pack {tree.argument(default_file(here, trainee))}",
        )
    number = _number(here)
    if file.exists():
        _refuse_to_replace(file, number)
    made_from = here.record
    if trainee and trainee != made_from.trainee:
        made_from = replace(made_from, trainee=trainee)
        record.write(here.folder, made_from)
    left_out: list[tuple[str, str]] = []
    chosen, paths = list(_chosen(here.folder, exercise, left_out)), []
    about = {
        "schema": 1,
        "workspace": number,
        "name": made_from.trainee,
        "lab": made_from.lab,
        "version": made_from.version,
        "exercise": exercise.id,
        "labkit": __version__,
        "packed": now.astimezone().isoformat(timespec="seconds"),
        "tasks": verdicts.described(here.folder),
    }
    top = _stem(here, made_from.trainee)
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in chosen:
                    if (content := _content(here.folder, path, left_out)) is not None:
                        archive.writestr(_entry(f"{top}/{path}", now), content)
                        paths.append(path)
                archive.writestr(_entry(f"{top}/{VERDICTS}", now), documents.json_of(about))
            temporary.chmod(0o644)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(
            f"Cannot write {file}: {error.strerror or error}.", "Choose another place: labkit pack FILE"
        ) from error
    return Packed(file, (*paths, VERDICTS), tuple(left_out), file.stat().st_size)


def _chosen(folder: Path, exercise: Exercise, left_out: list[tuple[str, str]]) -> Iterator[str]:
    given = set(tree.app_files(exercise.begin))
    for path in tree.app_files(folder):
        there = folder / path
        if not there.is_file():  # it has gone meanwhile, as what an editor saves by
            continue
        name = path.rpartition("/")[2]
        if there.is_symlink():
            left_out.append((path, "a link"))
        elif path not in given and any(fnmatch.fnmatch(name.lower(), pattern) for pattern in SECRETS):
            left_out.append((path, "may hold a secret"))
        elif there.stat().st_size > LARGE:
            left_out.append((path, f"{there.stat().st_size // 1_000_000} MB"))
        elif path != VERDICTS:
            yield path
    beside = [record.NAME, receipts.NAME, "uv.toml", ".gitignore"]
    wheels = folder / companions.WHEELS
    if wheels.is_dir() and not wheels.is_symlink():
        beside += [f"{companions.WHEELS}/{each.name}" for each in sorted(wheels.glob("*.whl"))]
    for path in beside:
        if (folder / path).is_file() and not (folder / path).is_symlink():
            yield path


def _content(folder: Path, path: str, left_out: list[tuple[str, str]]) -> bytes | None:
    try:
        return (folder / path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        left_out.append((path, f"cannot be read: {error.strerror or error}"))
        return None


def _entry(name: str, now: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, now.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _stem(here: Workspace, trainee: str | None) -> str:
    return f"{here.exercise_name}-{slugify(trainee or '', max_length=80) or here.id}"


def _number(here: Workspace) -> str:
    """The number of the workspace where the work was begun: that which it was unpacked from, or its own."""
    try:
        return str(documents.read_json(here.folder / VERDICTS)["workspace"])
    except (OSError, ValueError, KeyError, TypeError):
        return here.id


def _refuse_to_replace(file: Path, number: str) -> None:
    """Raise UsageError unless the file is a zip of the work with this number; earlier labkits gave none."""
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(each for each in archive.namelist() if each.endswith(f"/{VERDICTS}"))
            with archive.open(name) as entry:
                about = json.loads(entry.read(1_000_000))
        there = str(about.get("workspace", number))
    except (OSError, ValueError, AttributeError, StopIteration, RuntimeError, zipfile.BadZipFile):
        raise UsageError(
            f"{file} is there already, and is no packed work.", "Choose another name: labkit pack FILE"
        ) from None
    if there != number:
        raise UsageError(
            f"{file} is there already, packed from another workspace: it is not replaced.",
            "Say a name that nobody else has, labkit pack --name NAME, or name the file: labkit pack FILE",
        )
