"""Receipts: what verify said of a trainee's work, signed on that machine, so that a grading can begin with it.

A receipt is a hint, and no proof: the key lies on the trainee's machine, which may sign whatever it likes. The
signature only tells that nothing was changed since. Whoever grades by receipts checks some of the work anew.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from labkit import __version__, documents, tree
from labkit.files import Within, read_safely, write_whole
from labkit.lab import Exercise, Lab
from labkit.places import ADVICE, data_folder
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

NAME = "lab-receipt.json"
"""The receipt's file, in the workspace's own folder: git and `labkit pack` carry it."""

_KEY = "receipt-key"


class _SignedCheck(msgspec.Struct, frozen=True):
    id: str
    title: str
    verdict: Verdict


class _SignedTask(msgspec.Struct, frozen=True):
    id: str
    title: str
    checks: tuple[_SignedCheck, ...]


class _Signed(msgspec.Struct, frozen=True):
    """What is signed: `work` and `checks` are the digests of the app's files and of the lab's checks."""

    lab: str
    version: str
    labkit: str
    exercise: str
    work: str
    checks: str
    when: datetime
    tasks: tuple[_SignedTask, ...]


class _File(msgspec.Struct, frozen=True):
    schema: int
    signed: _Signed
    key: str
    signature: str


@dataclass(frozen=True)
class Receipt:
    """A receipt whose signature is right: when it was signed, and the verdicts."""

    when: datetime
    report: Report


def write(folder: Path, lab: Lab, exercise: Exercise, report: Report, work: str, now: datetime) -> Path:
    """Write the receipt of a run on the whole exercise into its workspace; `work` is the digest that the files had.

    Raises MachineError if the receipt or this machine's key cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(_own_key())
    signed = _Signed(
        lab.title,
        lab.version,
        __version__,
        exercise.id,
        work,
        tree.digest(exercise.checks),
        now.astimezone().replace(microsecond=0),
        tuple(
            _SignedTask(
                task.id,
                task.title,
                tuple(_SignedCheck(check.id, check.title, result.verdict) for check, result in task.checks),
            )
            for task in report.tasks
        ),
    )
    document = {
        "schema": 1,
        "signed": msgspec.to_builtins(signed),
        "key": _text(key.public_key().public_bytes_raw()),
        "signature": _text(key.sign(_bytes(signed))),
    }
    Within(folder).write(NAME, documents.json_of(document))
    return folder / NAME


def read(folder: Path, lab: Lab, exercise: Exercise) -> Receipt | None:
    """The receipt in a folder, if it is an unchanged one on this very work, by these checks of this labkit."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        file = msgspec.json.decode(read_safely(folder / NAME, documents.MOST), type=_File)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(file.key)).verify(
            base64.b64decode(file.signature), _bytes(file.signed)
        )
    except (ValueError, InvalidSignature):
        return None
    signed = file.signed
    of = (signed.lab, signed.version, signed.labkit, signed.exercise, signed.checks, signed.work)
    here = (lab.title, lab.version, __version__, exercise.id, tree.digest(exercise.checks), tree.digest(folder))
    if of != here or [task.id for task in signed.tasks] != [task.id for task in exercise.tasks]:
        return None
    tasks = tuple(
        TaskReport(
            task.id,
            task.title,
            tuple((Check(each.id, each.title, task.id, 0.0), Result(each.verdict)) for each in task.checks),
        )
        for task in signed.tasks
    )
    return Receipt(signed.when, Report(exercise.id, "workspace", 0.0, tasks))


def _own_key() -> bytes:
    """The private key of this data folder, made once: 32 bytes, which nobody else may read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = data_folder() / _KEY
    known = read_safely(path, 33)
    if len(known) != 32:
        known = Ed25519PrivateKey.generate().private_bytes_raw()
        write_whole(path, known, ADVICE, mode=0o600)
    return known


def _bytes(signed: _Signed) -> bytes:
    return msgspec.json.encode(signed, order="sorted")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
