"""The folder of a grading's results: each grade is in it as soon as it stands, so that nothing is lost."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

import msgspec

from labkit import __version__, record, tree
from labkit.errors import MachineError, UsageError
from labkit.files import is_free, locked, write_whole
from labkit.grading.grades import Grade
from labkit.grading.messages import convert, encode
from labkit.lab import Exercise, Lab


def default_folder(place: Path) -> Path:
    """Where the results go if nobody says it: beside the first folder or archive that was named."""
    whole = place.resolve()
    name = whole.name.split(".")[0] if whole.is_file() else whole.name
    return whole.parent / f"{name or 'class'}-grades"


def stamp(lab: Lab, exercise: Exercise, folder: Path) -> str:
    """What tells this work, judged by these checks of this labkit, from every other."""
    whole = hashlib.sha256()
    made_from = folder / record.NAME
    parts = (
        __version__,
        lab.version,
        exercise.name,
        tree.digest(folder),
        tree.digest(exercise.checks),
        tree.digest(exercise.begin),
    )
    for part in parts:
        whole.update(f"{part}\0".encode())
    whole.update((exercise.folder / "exercise.toml").read_bytes())
    whole.update(made_from.read_bytes() if made_from.is_file() else b"")
    return whole.hexdigest()


class Results:
    """The results in a folder, which is made if it is not there: `grades/` and the staged work in `submissions/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who grades into this folder.

        Raises UsageError if somebody else does, or the folder has something else in it; MachineError if it cannot be
        written.
        """
        lock = self.folder / "lock"
        try:
            if self.folder.is_dir() and any(self.folder.iterdir()) and not lock.exists():
                raise UsageError(
                    f"{self.folder} is there already, and has no results of labkit grade in it.",
                    "Name another folder with --results DIR.",
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.touch()
            if not is_free(lock):
                raise UsageError(
                    f"Another labkit grade is writing to {self.folder}.",
                    "Wait for it, or name another folder with --results DIR.",
                )
            for name in ("grades", "submissions"):
                (self.folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"Cannot write to {self.folder}: {error.strerror or error}.",
                "Name a folder that you may write to: --results DIR",
            ) from error
        with locked(lock):
            yield

    # The work: it arrives, and then takes the place of an earlier one, or is discarded in its favour.

    def staged(self, key: str) -> Path:
        """The folder with a submission's work."""
        return self.folder / "submissions" / key

    def arriving(self, key: str) -> Path:
        """The folder for work that has just come in."""
        return self.folder / "submissions" / f".{key}"

    def accept(self, key: str) -> Path:
        """Put the work that has come in into its place; returns that."""
        shutil.rmtree(self.staged(key), ignore_errors=True)
        return self.arriving(key).replace(self.staged(key))

    def discard(self, key: str) -> None:
        """Remove the work that has come in: the earlier one stays, with the evidence that it has."""
        shutil.rmtree(self.arriving(key), ignore_errors=True)

    def adopt(self, grade: Grade, other: "Results") -> Grade:
        """Take over a grade from other results, with its work and evidence; returns it as it is now."""
        staged = other.staged(grade.key)
        if staged != self.staged(grade.key) and staged.is_dir():
            shutil.rmtree(self.staged(grade.key), ignore_errors=True)
            shutil.copytree(staged, self.staged(grade.key), symlinks=True)
        moved = _moved(grade, self.staged(grade.key))
        self.put(moved)
        return moved

    # The grades.

    def put(self, grade: Grade) -> None:
        """Keep a grade, whole, in place of an earlier one of the same submission."""
        write_whole(self._path(grade.key), msgspec.json.format(encode(grade), indent=1) + b"\n")

    def write(self, grade: Grade, file: Path) -> None:
        """Write a grade into a file of its own: as JSON, or with the work and the evidence as a zip.

        Raises MachineError if that cannot be done.
        """
        if file.suffix != ".zip":
            write_whole(file, msgspec.json.format(encode(grade), indent=1) + b"\n")
            return
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(self._path(grade.key), f"grades/{grade.key}.json")
            for path in sorted(self.staged(grade.key).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    archive.write(path, path.relative_to(self.folder).as_posix())
        write_whole(file, content.getvalue())

    def get(self, key: str) -> Grade | None:
        """The grade of a submission; None if there is none, or none that can be read."""
        try:
            grade = msgspec.json.decode(self._path(key).read_bytes(), type=Grade, dec_hook=convert)
        except (OSError, ValueError):
            return None
        return grade if grade.key == key else None  # its files are called by it

    def all(self) -> list[Grade]:
        """All grades, by name."""
        keys = sorted(path.stem for path in (self.folder / "grades").glob("*.json"))
        found = [grade for key in keys if (grade := self.get(key))]
        return sorted(found, key=lambda grade: (grade.name.lower(), grade.exercise or ""))

    def _path(self, key: str) -> Path:
        return self.folder / "grades" / f"{key}.json"


def _moved(grade: Grade, folder: Path) -> Grade:
    """The grade of work that is in another folder now, perhaps from another machine: its evidence is there as well."""
    if grade.folder is None or grade.report is None:
        return grade
    before, after = PurePath(str(grade.folder)), folder

    def path(old: str) -> str:
        # A path of the other system, such as C:\\class-grades, is read by what it has in common: the end.
        plain = old.replace("\\", "/")
        start = str(before).replace("\\", "/")
        return str(after / plain.removeprefix(start).lstrip("/")) if plain.startswith(start) else old

    report = replace(
        grade.report,
        evidence=Path(path(str(grade.report.evidence))) if grade.report.evidence else None,
        tasks=tuple(
            replace(
                task,
                checks=tuple(
                    (check, replace(result, evidence=tuple(map(path, result.evidence))))
                    for check, result in task.checks
                ),
            )
            for task in grade.report.tasks
        ),
    )
    return replace(grade, folder=folder, report=report)
