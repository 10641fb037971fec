"""Bringing a workspace to a newer lab without losing work: three-way, against the begin that it was made from."""

from dataclasses import dataclass, replace

from labkit import __version__, companions, merging, record, releases, tree
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.files import Within
from labkit.lab import Exercise, Lab
from labkit.workspace import Workspace, lab_option

BESIDE = tree.OF_THE_LAB
"""The ending of a lab's new file that lies beside the trainee's, where both have changed the same lines."""


@dataclass(frozen=True)
class Update(Change):
    """The change that brings a workspace to the lab as it is now.

    `taken` are the lab's files that the trainee had not changed, `merged` those with the changes of both, `conflicts`
    those that stayed the trainee's, and `kept` those that the lab has no more, but the trainee has changed.
    """

    taken: tuple[str, ...]
    merged: tuple[str, ...]
    conflicts: tuple[str, ...]
    kept: tuple[str, ...]


def update(lab: Lab, exercise: Exercise, here: Workspace) -> Update:
    """Compute it; nothing is written. It has no files if the workspace is up to date.

    Raises UsageError if the lab does not have the begin that the workspace was made from.
    """
    made_from = here.record
    base = releases.find(exercise, made_from.begin) if made_from.begin else None
    if base is None:
        another = tree.argument(here.folder.parent / f"{here.folder.name}-2")
        raise UsageError(
            f"{here.folder.name} was made from version {made_from.version} of “{made_from.lab}”, whose begin this lab "
            "does not have: what is yours and what was the lab's cannot be told apart. Nothing was changed.",
            f"labkit start {exercise.id} {another}{lab_option(lab)}   (beside it; then copy your own code)",
        )
    new = releases.files_of(exercise.begin)
    within = Within(here.folder)
    files: list[FileChange] = []
    taken, merged, conflicts, kept = [], [], [], []
    for path in sorted(base.keys() | new.keys()):
        before, after = base.get(path), new.get(path)
        mine = within.read(path)
        if before == after or mine == after:
            continue
        if mine == before:
            files.append(FileChange(path, mine, after))
            taken.append(path)
        elif after is None:
            kept.append(path)
        elif (text := _merged(before, mine, after)) is not None:
            files.append(FileChange(path, mine, text))
            merged.append(path)
        else:
            beside = f"{path}{BESIDE}"
            files.append(FileChange(beside, within.read(beside), after))
            conflicts.append(path)
    if tree.digest_of(new) != made_from.begin:
        files += companions.changes(lab, exercise, within)
        now = replace(made_from, lab=lab.title, version=lab.version, begin=tree.digest_of(new), labkit=__version__)
        files.append(FileChange(record.NAME, within.read(record.NAME), record.text(here.folder, now)))
    return Update(
        f"update to version {lab.version}",
        tuple(file for file in files if file.before != file.after),
        tuple(taken),
        tuple(merged),
        tuple(conflicts),
        tuple(kept),
    )


def _merged(base: bytes | None, mine: bytes | None, theirs: bytes) -> bytes | None:
    texts = [None if content is None else tree.text(content) for content in (base, mine, theirs)]
    before, ours, after = texts
    if before is None or ours is None or after is None:
        return None
    text = merging.merge(before, ours, after)
    return None if text is None else text.encode("utf-8")
