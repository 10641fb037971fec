"""A workspace is a trainee's copy of an exercise's begin.

Its record, `lab-workspace.toml`, travels with it. What is secret, or belongs to one machine, is in `.labkit/`: the
app's data, what it signs with, the journal. A folder that comes without it is taken by the next command (`adopt`).
"""

import contextlib
import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import __version__, changes, companions, documents, known, places, record, tree, usage
from labkit.changes import Change, FileChange
from labkit.errors import LabError, MachineError, UsageError, unknown, what_helps
from labkit.files import Within, is_free, locked, write_whole
from labkit.harmless import shortened
from labkit.journal import Journal, Undone
from labkit.lab import Exercise, Lab, carried_lab, find_lab, id_of
from labkit.record import Record

SCHEMA = 1
"""The number of workspace.json's form; a labkit refuses a newer one."""


@dataclass(frozen=True)
class Workspace:
    """A folder made by `labkit start`: `data` is where the app keeps its own, `secret` what it signs with.

    `adopted` is true if it has just been taken over from another machine or account, without the data of there;
    `made_here` if `labkit start` made it where labkit keeps its data now, so that the lab's server knows its databases.
    """

    folder: Path
    exercise_name: str
    id: str
    secret: str
    made_by: str
    adopted: bool = field(default=False, compare=False)
    made_here: bool = field(default=False, compare=False)

    @property
    def data(self) -> Path:
        """Where the app of this workspace keeps its database."""
        return self.folder / ".labkit" / "data"

    @property
    def journal(self) -> Journal:
        """What labkit changed here."""
        return Journal(self.folder)

    @property
    def record(self) -> Record:
        """What the workspace was made from, and what labkit did for it, as git and a zip carry it."""
        return record.read(self.folder) or _kept_record(_description(self.folder) or {})

    def note_database(self, name: str, now: datetime) -> None:
        """Remember in the record that this database was created for the workspace: nothing in the code would tell."""
        with self.changing():
            record.write(self.folder, record.add_database(self.record, name, now))

    def apply(self, change: Change) -> None:
        """Write a change, all of it or nothing, so that `labkit undo` can take it back."""
        with self.changing():
            self.journal.apply(change)

    def put_data_away(self, change: Change) -> Path:
        """Write a change, and move the app's data out of the way in the same step; returns where the data is now."""
        usage.refuse_if_used(self.folder)
        with self.changing():
            kept = self.journal.apply(change, put_away=".labkit/data")
            self.data.mkdir(exist_ok=True)
        assert kept is not None  # noqa: S101  (a folder was named)
        return kept

    def undo(self, force: bool = False) -> Undone:
        """Take back the last change; raises as `Journal.undo` does, and UsageError if a running app uses its data."""
        if self.journal.last_puts_away:
            usage.refuse_if_used(self.folder)
        with self.changing():
            return self.journal.undo(force)

    def changing(self) -> AbstractContextManager[None]:
        """Be the only command that changes this workspace: for looking at files and then changing them."""
        refuse_links(self.folder)
        return locked(self.folder / ".labkit" / "lock")


@dataclass(frozen=True)
class Difference:
    """One file that differs: `changed`, `missing` (only the other side has it) or `extra` (only this side has it)."""

    path: str
    kind: str
    added: int
    removed: int
    diff: str


def create(lab: Lab, exercise: Exercise, folder: Path) -> Workspace:
    """Make a workspace in `folder`, which must not exist or be empty; on any failure nothing is left of it.

    Raises UsageError if something is in the way or begin is missing, MachineError if the folder cannot be written.
    """
    folder = folder.resolve()
    if not exercise.begin.is_dir():
        raise UsageError(f"There is no folder {exercise.begin}.", "Restore it.")
    _refuse_to_overwrite(lab, exercise, folder)
    with _writing(lab, exercise, folder), _temporary_sibling(folder) as temporary:
        _copy(exercise.begin, temporary)
        companions.write(lab, exercise, temporary)
        made_from = Record(lab.title, lab.version, exercise.name, tree.digest(exercise.begin))
        record.write(temporary, made_from)
        _write_description(temporary, made_from, lab.folder, _home())
        if folder.is_dir():  # empty, and perhaps where the shell stands: fill it rather than replace it
            for path in list(temporary.iterdir()):
                path.rename(folder / path.name)
        else:
            temporary.rename(folder)
    known.remember(folder, exercise.name, lab.folder)
    return read(folder)


def find(lab: Lab, start: Path, exercise: Exercise | None = None, *, take: bool = True) -> Workspace:
    """The workspace at or above `start`; else the one of `exercise` in a child folder (the only one, if none is named).

    One that came without `.labkit` is taken over, if `take`. Raises UsageError that lists what was found instead.
    """
    start = start.resolve()
    here = around(start)
    if here:
        found = _read_for(lab, here, take)
        if exercise is None or found.exercise_name == exercise.name:
            return found
    below = children(start)
    matching = [each for each in below if exercise is None or each.exercise_name == exercise.name]
    if len(matching) == 1:
        return _read_for(lab, matching[0].folder, take)
    raise _no_workspace(lab, start, exercise, here, below, matching)


def around(start: Path) -> Path | None:
    """The folder of the workspace at or above `start`."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if _is_workspace(folder)), None)


def children(start: Path) -> list[Workspace]:
    """The workspaces in child folders of `start`; unreadable ones are left out."""
    found = []
    for folder in sorted(start.iterdir()) if os.access(start, os.R_OK) else []:
        if _is_workspace(folder):
            try:
                found.append(read(folder))
            except LabError:
                continue
    return found


def of_lab(lab: Lab, start: Path) -> dict[str, Workspace]:
    """The workspace of each exercise, by its name, as a person at `start` means it: the one that `start` is in, else
    the one in a child folder, or beside the one that `start` is in; else the last used of all.
    """
    here = around(start)
    used = known.workspaces(lab.folder)
    order = {each.folder: number for number, each in enumerate(used)}
    found: dict[str, Workspace] = {}
    for each in reversed(used):
        with contextlib.suppress(LabError):
            found[each.exercise] = read(each.folder)
    nearby = children(here.parent if here else start)
    for near in sorted(nearby, key=lambda near: (near.folder == here, -order.get(near.folder, len(order)))):
        found[near.exercise_name] = near
    return {each.name: found[each.name] for each in lab.exercises if each.name in found}


def surroundings(start: Path) -> tuple[int, ...]:
    """When something was last made or renamed where `of_lab` looks for workspaces: while that is the same, so are they.

    Only a workspace that came by itself, with another program, into a folder that was there already, shows later.
    """
    found = [known.written()]
    for folder in (start, start.parent):
        with contextlib.suppress(OSError):
            found.append(folder.stat().st_mtime_ns)
    return tuple(found)


def read(folder: Path, lab: Lab | None = None) -> Workspace:
    """The workspace in this very folder; for `lab`, one that came without `.labkit` is taken over: it gets a new one.

    Raises UsageError if there is none, or if another labkit made it whose form this one does not know.
    """
    own = _description(folder)
    made_from = record.read(folder) or (_kept_record(own) if own else None)
    if made_from is None:
        raise UsageError(f"{folder} is not a workspace.", "labkit start EX makes one")
    adopted = own is None
    if own is None:
        own = _identity()
        if lab is not None:
            with contextlib.suppress(OSError, MachineError):  # the identity lasts for this command, then
                own = _write_description(folder, made_from, lab.folder)
    return Workspace(
        folder, made_from.exercise, own["id"], own["secret"], made_from.labkit, adopted, own.get("home") == _home()
    )


def exercise_of(folder: Path) -> str | None:
    """The name of the exercise that this very folder is a workspace of; nothing is made or changed."""
    made_from = record.read(folder)
    if made_from is not None:
        return made_from.exercise
    described = _description(folder)
    return str(described["exercise"]) if described else None


def adopt(lab: Lab, exercise: Exercise, folder: Path) -> Workspace:
    """Make a workspace of a folder with a trainee's work: what labkit keeps there is made where it is missing.

    No file of the app is touched. Raises UsageError if the folder is another exercise's workspace, or has no work on
    this exercise in it; MachineError if it cannot be written.
    """
    folder = folder.resolve()
    described = _description(folder)
    there = record.read(folder) or (_kept_record(described) if described else None)
    if there and there.exercise != exercise.name:
        raise UsageError(
            f"{folder} is a workspace of {there.exercise}, not of {exercise.name}.",
            f"labkit adopt --exercise {id_of(there.exercise)}",
        )
    if not set(tree.app_files(folder)) & set(tree.app_files(exercise.begin)):
        raise UsageError(
            f"{folder} has no file of {exercise.name}'s app: it is not a trainee's work on it.",
            f"Go into the folder that has {next(tree.app_files(exercise.begin), 'the app')}, and repeat the command.",
        )
    try:
        record.write(folder, there or Record(lab.title, lab.version, exercise.name, begin=None))
        companions.write(lab, exercise, folder)
    except OSError as error:
        raise MachineError(
            f"Cannot write into {folder}: {error.strerror or error}.", "Copy it to a folder that you may write to."
        ) from error
    return read(folder, lab)


def lab_option(lab: Lab) -> str:
    """What names the lab in a command to be typed here: ` --lab DIR`, nothing if it is found without."""
    with contextlib.suppress(UsageError):  # which one is found cannot be read: all the more this one has to be named
        if find_lab().folder == lab.folder:
            return ""
    return f" --lab {tree.argument(lab.folder)}"


def copy_app(folder: Path, to: Path) -> None:
    """Copy the app's own files, without what tools and labkit keep beside them; `to` is made if needed."""
    to.mkdir(parents=True, exist_ok=True)
    for path in tree.app_files(folder):
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # it went after the folder was listed
            shutil.copyfile(folder / path, target)


MOST_COMPARED = 5_000_000
"""How many bytes of files that differ are compared line by line; of the others it is only said that they differ."""


def compare(folder: Path, end: Path) -> list[Difference]:
    """What has to become of `folder` to be equal to `end`: empty if they are, byte for byte."""
    if not end.is_dir():
        raise UsageError(f"This exercise has no {end.name} to compare with: {end} is missing.")
    mine, theirs = set(tree.app_files(folder)), set(tree.app_files(end))
    differences, room = [], MOST_COMPARED
    for path in sorted(mine | theirs):
        most = min(room, tree.LARGE)
        before = changes.content(folder / path, most) if path in mine else None
        after = changes.content(end / path, most) if path in theirs else None
        if before == after:
            continue
        room -= len(before or b"") + len(after or b"")
        kind = "missing" if before is None else "extra" if after is None else "changed"
        added, removed = changes.counts(before, after)
        diff = changes.diff(before, after, f"yours/{path}", f"{end.name}/{path}")
        differences.append(Difference(path, kind, added, removed, diff))
    return differences


def reset(folder: Path, exercise: Exercise, paths: Sequence[str] | None = None) -> Change:
    """The change that brings these files (else all of the exercise's) back as begin has them.

    Files that the trainee added stay. Raises UsageError for a path that begin does not have.
    """
    known = list(tree.app_files(exercise.begin))
    for path in paths or ():
        if path not in known:
            raise unknown("file", path, known, "labkit diff --stat   (lists the files that differ)")
    files, within = [], Within(folder)
    for path in known if paths is None else paths:
        before, after = within.read(path), (exercise.begin / path).read_bytes()
        if before != after:
            files.append(FileChange(path, before, after))
    return Change(f"reset {', '.join(paths) if paths else exercise.id}", tuple(files))


def _is_workspace(folder: Path) -> bool:
    return (folder / record.NAME).is_file() or (folder / ".labkit" / "workspace.json").is_file()


def _read_for(lab: Lab, folder: Path, take: bool) -> Workspace:
    name = exercise_of(folder)
    if name is not None and name not in [exercise.name for exercise in lab.exercises]:
        raise of_another_lab(lab, folder, name)
    return read(folder, lab if take else None)


def of_another_lab(lab: Lab, folder: Path, exercise: str) -> UsageError:
    """The error for a workspace of an exercise that the lab does not have."""
    described = _description(folder)
    made_from = described.get("lab") if described else None
    gone = ""
    if isinstance(made_from, str) and not Path(made_from).exists():
        gone = f" It was made from the lab in {made_from}, which is not there any more."
    return UsageError(
        f"{folder} is a workspace of {exercise}, which the lab “{lab.title}” does not have.{gone}",
        "Name the lab that it was made from with --lab DIR.",
    )


def _no_workspace(
    lab: Lab,
    start: Path,
    exercise: Exercise | None,
    here: Path | None,
    below: list[Workspace],
    matching: list[Workspace],
) -> UsageError:
    used = [each.folder for each in known.workspaces(lab.folder, exercise.name if exercise else None)]
    if matching:
        names = " and ".join(each.folder.name for each in matching)
        folders = [each.folder for each in matching]
        last = next((folder for folder in used if folder in folders), folders[0])
        return UsageError(f"Several workspaces here: {names}. Go into the one you mean.", f"cd {tree.argument(last)}")
    found = [f"{each.folder.name} ({each.exercise_name})" for each in below]
    # Another lab's exercise may have the same id: its workspace is meant, and knows its lab.
    meant = [each for each in below if exercise and id_of(each.exercise_name) == exercise.id]
    if here:
        found.insert(0, f"{here} ({exercise_of(here)})")
        meant += [each for each in children(here.parent) if exercise and each.exercise_name == exercise.name]
    wanted = f" of {exercise.id}" if exercise else ""
    if not meant:
        found += [str(folder) for folder in used if str(folder) not in found]
    message = f"No workspace{wanted} in {start}." + (f" Found: {', '.join(found)}." if found else "")
    if meant:
        return UsageError(message, f"cd {tree.argument(meant[0].folder)}")
    if used:
        return UsageError(message, f"cd {tree.argument(used[0])}")
    first = exercise or (lab.exercises[0] if lab.exercises else None)
    return UsageError(message, f"labkit start {first.id if first else 'EX'}{lab_option(lab)}")


def _refuse_to_overwrite(lab: Lab, exercise: Exercise, folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    another = tree.argument(folder.parent / f"{folder.name}-2")
    afresh = f"labkit start {exercise.id} {another}{lab_option(lab)}"
    if folder.is_dir():
        if not _is_workspace(folder):
            advice = f"Choose another folder: {afresh}"
        elif folder == Path.cwd():
            advice = f"You are in your workspace: labkit list shows how to go on. Or start afresh: {afresh}"
        else:
            advice = f"Go on with it: cd {tree.argument(folder)}. Or start afresh: {afresh}"
        raise UsageError(f"{folder} is there already and not empty. Nothing was changed.", advice)
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            f"{folder} is there already and is not a folder. Nothing was changed.",
            f"Choose another name: {afresh}",
        )


@contextmanager
def _writing(lab: Lab, exercise: Exercise, folder: Path) -> Iterator[None]:
    """Say what the system refused in terms of the workspace."""
    try:
        yield
    except OSError as error:
        elsewhere = f"labkit start {exercise.id} DIR{lab_option(lab)}"
        usual = f"Free some disk space, or choose a folder that you may write to: {elsewhere}"
        place = shortened(str(folder), 1000)
        raise MachineError(
            f"Cannot make {place}: {error.strerror or error}. Nothing was left behind.", what_helps(error, usual)
        ) from error


@contextmanager
def _temporary_sibling(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, on the same disk; what is left of it is removed, with parents made for it."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep_siblings(folder)
        temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}{_MAKING}"
        temporary.mkdir()
        try:
            with locked(temporary.with_name(f"{temporary.name}.lock")):
                yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.with_name(f"{temporary.name}.lock").unlink(missing_ok=True)
    except BaseException:
        for parent in missing:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise


_MAKING = ".labkit-new"


def _sweep_siblings(folder: Path) -> None:
    """Remove what a `start` that was killed has left of the same workspace; one that is at work holds its lock."""
    for lock in folder.parent.glob(f".{glob.escape(folder.name)}.*{_MAKING}.lock"):
        if is_free(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def _copy(source: Path, to: Path, data: dict[str, Any] | None = None) -> None:
    """Copy a template folder with copier: `*.jinja` are rendered, everything else is kept byte for byte."""
    import copier

    copier.run_copy(
        str(source),
        to,
        data=data,
        settings=copier.Settings(),  # not the user's own, which are for other templates
        exclude=[
            "copier.yml",
            *sorted(tree.IGNORED_FOLDERS),
            *sorted(tree.IGNORED_FILES),
            *(f"*{end}" for end in tree.IGNORED_ENDINGS),
        ],
        defaults=True,
        overwrite=True,
        quiet=True,
    )


def _description(folder: Path) -> dict[str, Any] | None:
    """What `.labkit/workspace.json` says; None if it is not there.

    Raises UsageError if it is damaged, or in the form of another labkit.
    """
    path = folder / ".labkit" / "workspace.json"
    try:
        table: dict[str, Any] = documents.parse_json(documents.read(path).decode("utf-8"))
        schema, made_by = table.get("schema", 0), table.get("labkit", "unknown")
        if isinstance(schema, int) and schema > SCHEMA:
            raise UsageError(
                f"{folder} was made by a newer labkit ({made_by}); this one is {__version__}.",
                "Update labkit, or start afresh with this one: labkit start EX NEWDIR",
            )
        if schema != SCHEMA:
            raise UsageError(
                f"{folder} was made by a labkit that is too old for this one ({made_by}; this is {__version__}).",
                "Start afresh, labkit start EX NEWDIR, and copy your own files into it.",
            )
        for name in ("exercise", "id", "secret"):
            if not isinstance(table.get(name), str):
                raise ValueError(f"its “{name}” is missing, or is no text")
            if not table[name].isprintable():
                raise ValueError(f"its “{name}” has a character that no program can be given")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {error}.", "Remove that file, and repeat the command.") from error
    return table


def _kept_record(described: dict[str, Any]) -> Record:
    """The record as `.labkit` has it, for a workspace that has lost its own."""
    return Record(
        lab=str(described.get("title", "unknown")),
        version=str(described.get("version", "unknown")),
        exercise=described["exercise"],
        begin=described.get("begin"),
        labkit=str(described.get("labkit", "unknown")),
    )


def refuse_links(folder: Path) -> None:
    """Raise UsageError if the workspace's `.labkit`, or a folder in it that labkit writes to, is a link or a file."""
    within = Within(folder)
    for own in (folder / ".labkit", folder / ".labkit" / "data"):
        if own.exists() and not own.is_dir():
            name = own.relative_to(folder).as_posix()
            raise UsageError(f"{name} is a file where a folder of labkit's belongs.", f"Remove it, then repeat: {own}")
    for name in ("data", "evidence", "journal", "undone", "half-made"):
        within.names(f".labkit/{name}")


def _identity() -> dict[str, str]:
    return {"id": secrets.token_hex(4), "secret": secrets.token_hex(32)}


def _home() -> str:
    """What tells labkit's data folder from others; nothing where it has none: then nothing was made there."""
    with contextlib.suppress(MachineError):
        return places.identity()
    return ""


def _write_description(folder: Path, made_from: Record, lab: Path | None, home: str | None = None) -> dict[str, str]:
    """Make `.labkit`, unless another command was faster; `lab` is named unless it is the one that labkit carries.

    `home` tells where the workspace was made; one that was adopted was made elsewhere.

    Returns the workspace's id and secret.
    """
    own = folder / ".labkit"
    refuse_links(folder)
    own.mkdir(mode=0o700, parents=True, exist_ok=True)  # the app's data is for nobody else on this machine
    (own / "data").mkdir(exist_ok=True)
    with locked(own / "lock"):
        if there := _description(folder):
            return there
        (own / ".gitignore").write_text("*\n", encoding="utf-8", newline="\n")
        document = {
            "schema": SCHEMA,
            "labkit": made_from.labkit,
            "lab": None if lab is None or lab == carried_lab().resolve() else str(lab),
            "title": made_from.lab,
            "version": made_from.version,
            "exercise": made_from.exercise,
            "begin": made_from.begin,
            "home": home,
            **_identity(),
        }
        write_whole(own / "workspace.json", (json.dumps(document, indent=2) + "\n").encode("utf-8"), mode=0o600)
        return {name: str(value) for name, value in document.items()}
