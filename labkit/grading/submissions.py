"""Whose work is where: workspaces below folders, in archives of them, and in archives of such archives."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slugify import slugify

from labkit import tree, workspace
from labkit.errors import LabError, UsageError
from labkit.grading import archives, branches
from labkit.grading.archives import Unreadable
from labkit.lab import Exercise, Lab, id_of

DEPTH = 6
"""How many folders deep a workspace is looked for."""


@dataclass(frozen=True)
class Submission:
    """One piece of work: of whom, on which exercise, where it came from, and where it lies now.

    `name` is that of its folder or archive, and with the exercise's id tells it from every other. `fault` says why it
    cannot be verified; `deeds` what it tried and must not.
    """

    name: str
    source: Path
    folder: Path | None = None
    exercise: str | None = None
    deeds: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def key(self) -> str:
        """What its files are called: of small letters, digits and hyphens."""
        return "-".join(filter(None, (slugify(self.name, max_length=80) or "nameless", self.exercise)))


def find(
    lab: Lab,
    places: Sequence[Path],
    exercise: Exercise | None,
    scratch: Path,
    pattern: str | None = None,
    alone: bool = False,
) -> list[Submission]:
    """Every submission in these folders and archives, which are unpacked into `scratch`; those of `exercise`, if given.

    With a `pattern`, the places are Git repositories, and every branch with a name of that pattern is a submission.
    With `alone`, a place is one trainee's folder or archive.

    A folder is a workspace, or has one folder or archive for each trainee; one in which there is no workspace is a
    submission with a fault.

    Raises UsageError for a place that is not there.
    """
    finder = _Finder(lab, exercise, scratch)
    found: list[Submission] = []
    for place in places:
        found += finder.branches_of(place, pattern) if pattern else finder.alone(place) if alone else finder.at(place)
    return _distinct(list({(each.source, each.folder, each.exercise): each for each in found}.values()))


class _Finder:
    def __init__(self, lab: Lab, exercise: Exercise | None, scratch: Path) -> None:
        self._lab = lab
        self._exercise = exercise
        self._scratch = scratch
        self._unpacked = 0

    def at(self, place: Path) -> Iterator[Submission]:
        """The submissions at a place that the instructor has named."""
        if place.is_dir():
            yield from self._class(place.resolve(), place.resolve(), place.resolve().name, ())
        elif place.is_file() and archives.is_archive(place):
            yield from self._archive(place.resolve(), archives.stem(place))
        elif place.exists():
            raise UsageError(
                f"{place} is neither a folder nor an archive.", "Name the folder that has the submissions."
            )
        else:
            raise UsageError(f"There is no {place}.", "Name the folder that has the submissions.")

    def alone(self, place: Path) -> Iterator[Submission]:
        """The one submission that a folder or an archive is."""
        whole = place.resolve()
        if whole.is_dir():
            yield from self._trainee(whole, whole, whole.name, ())
        elif whole.is_file():
            yield from self._handed_in(whole, archives.stem(whole))
        else:
            raise UsageError(f"There is no {place}.", "Name the folder or the archive of one trainee.")

    def branches_of(self, place: Path, pattern: str) -> Iterator[Submission]:
        """The branches of a repository, here or on the server that it was cloned from."""
        for name, commit in branches.of(place, pattern):
            self._unpacked += 1
            archive = self._scratch / f"{self._unpacked}.tar"
            branches.save(place, commit, archive)
            for found in self._handed_in(archive, name):
                yield replace(found, source=place.resolve() / name)

    def _archive(self, archive: Path, name: str) -> Iterator[Submission]:
        """An archive that was named: of one trainee's work, or of a class's."""
        try:
            folder, deeds = self._unpack(archive)
        except Unreadable as error:
            yield Submission(name, archive, fault=str(error))
            return
        yield from self._class(folder, archive, name, deeds)

    def _class(self, folder: Path, source: Path, name: str, deeds: tuple[str, ...]) -> Iterator[Submission]:
        """A folder that is a workspace, or has those of trainees."""
        if _is_workspace(folder) or self._fits(folder):
            yield self._submission(folder, source, name, deeds)
            return
        children = [each for each in sorted(folder.iterdir()) if not _is_hidden(each)]
        folders = [each for each in children if each.is_dir()]
        names = {each.name for each in self._lab.exercises}
        # `mary/ex1-realtime` is the work of mary, whose folder may have anything else in it.
        own = [each for each in folders if each.name in names and _is_workspace(each)]
        # As an archive has it: one folder in which all the rest is.
        alone = len(children) == 1 and source.is_file()
        for each in folders:
            if own and each not in own and not any(_workspaces(each)):
                continue
            one = name if each in own or (alone and _is_workspace(each)) else each.name
            yield from self._trainee(each, source if source.is_file() else each, one, deeds)
        for each in children:
            if each.is_file() and archives.is_archive(each):
                yield from self._handed_in(each, archives.stem(each))
        if not children and source.is_file():
            yield Submission(name, source, deeds=deeds, fault="The archive is empty.")

    def _trainee(self, folder: Path, source: Path, name: str, deeds: tuple[str, ...]) -> Iterator[Submission]:
        """The work in one trainee's folder."""
        found = list(_workspaces(folder))
        if not found and (fitting := next((each for each in _folders(folder) if self._fits(each)), None)):
            found = [fitting]
        wanted = [
            each for each in found if self._exercise is None or self._name_at(each) in (None, self._exercise.name)
        ]
        for each in wanted:
            inner = each.relative_to(folder).as_posix()
            parts = [part for part in inner.split("/") if part not in (".", self._name_at(each))]
            # Several workspaces of one exercise in a folder are those of several trainees.
            shared = sum(self._name_at(other) == self._name_at(each) for other in wanted) > 1
            yield self._submission(each, source, "/".join([name, *parts]) if shared else name, deeds)
        inside = [each for each in _files(folder) if archives.is_archive(each)] if not found else []
        for archive in inside:
            yield from self._handed_in(archive, name if len(inside) == 1 else f"{name}/{archives.stem(archive)}")
        if found and not wanted and self._exercise:
            others = " and ".join(sorted({id_of(self._name_at(each) or "?") for each in found}))
            yield Submission(
                name, source, exercise=self._exercise.id, deeds=deeds, fault=f"Its workspace is one of {others}."
            )
        if not found and not inside:
            yield Submission(name, source, deeds=deeds, fault=self._no_workspace(folder))

    def _handed_in(self, archive: Path, name: str) -> Iterator[Submission]:
        """The work in one trainee's archive."""
        try:
            folder, deeds = self._unpack(archive)
        except Unreadable as error:
            yield Submission(name, archive, fault=str(error))
            return
        yield from self._trainee(folder, archive, name, deeds)

    def _submission(self, folder: Path, source: Path, name: str, deeds: tuple[str, ...]) -> Submission:
        try:
            exercise = workspace.exercise_of(folder) if _is_workspace(folder) else None
        except LabError as error:
            return Submission(name, source, folder, deeds=deeds, fault=error.message.replace(str(folder), name))
        exercise = exercise or (self._exercise.name if self._exercise else None)
        if exercise not in [each.name for each in self._lab.exercises]:
            return Submission(
                name,
                source,
                folder,
                deeds=deeds,
                fault=f"It is a workspace of {exercise}, which this lab does not have.",
            )
        return Submission(name, source, folder, id_of(exercise or ""), deeds)

    def _name_at(self, folder: Path) -> str | None:
        try:
            return workspace.exercise_of(folder)
        except LabError:  # damaged; the submission says so
            return None

    def _fits(self, folder: Path) -> bool:
        """Whether a folder without a record has half of the files of the exercise that was asked for, or more."""
        if self._exercise is None:
            return False
        wanted = list(tree.app_files(self._exercise.begin))
        return 2 * sum((folder / path).is_file() for path in wanted) >= len(wanted) > 0

    def _no_workspace(self, folder: Path) -> str:
        if not any(_files(folder)):
            return "The folder is empty."
        hint = "" if self._exercise else " If its record is lost, name the exercise with --exercise."
        return f"There is no workspace in it.{hint}"

    def _unpack(self, archive: Path) -> tuple[Path, tuple[str, ...]]:
        self._unpacked += 1
        folder = self._scratch / str(self._unpacked)
        deeds = archives.unpack(archive, folder)
        return folder, tuple(deeds)


def _is_workspace(folder: Path) -> bool:
    return any(
        path.is_file() and not path.is_symlink() and path.stat().st_size < 100_000
        for path in (folder / "lab-workspace.toml", folder / ".labkit" / "workspace.json")
    )


def _workspaces(folder: Path) -> Iterator[Path]:
    """The workspaces at or below a folder; none lies in another."""
    return (each for each in _folders(folder, up_to_workspaces=True) if _is_workspace(each))


def _folders(folder: Path, up_to_workspaces: bool = False) -> Iterator[Path]:
    for root, names, _ in os.walk(folder):  # which follows no links
        depth = len(Path(root).relative_to(folder).parts)
        ends = depth >= DEPTH or (up_to_workspaces and _is_workspace(Path(root)))
        names[:] = [] if ends else sorted(name for name in names if name not in tree.IGNORED_FOLDERS)
        yield Path(root)


def _files(folder: Path) -> Iterator[Path]:
    for each in _folders(folder):
        yield from (path for path in sorted(each.iterdir()) if path.is_file() and not _is_hidden(path))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name in {*tree.IGNORED_FOLDERS, "__MACOSX"}


def _distinct(found: list[Submission]) -> list[Submission]:
    """The submissions by name; where two would have the same key, with what tells them apart."""
    counts = Counter(each.key for each in found)
    named = [replace(each, name=each.source.name) if counts[each.key] > 1 else each for each in found]
    seen: Counter[str] = Counter()
    distinct = []
    for each in named:
        seen[each.key] += 1
        number = seen[each.key]
        distinct.append(replace(each, name=f"{each.name} ({number})") if number > 1 else each)
    return sorted(distinct, key=lambda each: (each.name.lower(), each.exercise or ""))
