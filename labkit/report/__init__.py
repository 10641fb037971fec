"""Reports: what a run of the checks found, as one page to look at, JUnit XML for CI, and JSON.

`write` takes results and the evidence folder, wherever they come from. `evidence` reads what a run has kept, `steps`
what a trace says was done, `frames` what WebSocket frames mean; `page`, `junit` and `document` are the three files.
Everything in them that comes from a trainee (names, files, logs, pages) is hostile text: it is cut to size, freed from
control characters, and escaped by the templates.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkit import __version__
from labkit.errors import MachineError
from labkit.files import write_whole
from labkit.lab import Lab
from labkit.report import junit, page
from labkit.report.evidence import Evidence, read
from labkit.report.work import since_begin
from labkit.verify.report import Report
from labkit.verify.subject import Subject

PAGE, JUNIT, DOCUMENT, PICTURES = "index.html", "junit.xml", "report.json", "pictures"


@dataclass(frozen=True)
class Heading:
    """What a report is about: the exercise's title, whose work in which folder, when, and by which labkit and lab.

    `diff` is a unified diff of the begin to the work, `decode` the command that says what WebSocket frames mean.
    """

    title: str
    subject: str
    when: datetime
    labkit: str
    lab: str
    diff: str = ""
    decode: tuple[str, ...] = ()
    remark: str = ""
    """What is said beside the verdicts."""

    handed_back: bool = False
    """Whether somebody else reads it: the folders of this machine are none of their business."""

    @classmethod
    def of(cls, lab: Lab, subject: Subject, when: datetime) -> "Heading":
        """What a report of a run on this subject is about."""
        return cls(
            title=f"{subject.exercise.id}, {subject.exercise.title}",
            subject=str(subject.folder) if subject.workspace else f"the lab's own {subject.kind}",
            when=when,
            labkit=__version__,
            lab=f"{lab.title} {lab.version}",
            diff=since_begin(subject.exercise.begin, subject.folder),
            decode=subject.exercise.app.decode,
        )


def write(folder: Path, report: Report, heading: Heading, pictures_beside: bool = False) -> Path:
    """Write the three files into the folder, and tell which one to open.

    The pictures are a part of the page, or files beside it: of many pages, one is not to be megabytes of text.

    Raises:
        MachineError: the folder cannot be written to.

    """
    evidence = read(report.evidence, heading.decode)
    files = {
        PAGE: page.render(report, heading, evidence, PICTURES if pictures_beside else None),
        JUNIT: junit.render(report, heading.when),
        DOCUMENT: json.dumps(document(report, heading), indent=2, ensure_ascii=False, default=str) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text.encode("utf-8", "backslashreplace"))
        if pictures_beside:
            _write_pictures(folder / PICTURES, evidence)
    except OSError as error:
        raise MachineError(
            f"The report cannot be written to {folder}: {error.strerror or error}.",
            "Name a folder that you may write to, with room for a few megabytes: --report DIR",
        ) from error
    return folder / PAGE


def _write_pictures(folder: Path, evidence: Evidence) -> None:
    for recording in evidence.recordings:
        for picture in recording.pictures:
            folder.mkdir(exist_ok=True)
            (folder / picture.name).write_bytes(picture.content)


def document(report: Report, heading: Heading) -> dict[str, object]:
    """The report as JSON has it: that of `labkit verify --format json`, with what it is about."""
    return {
        "schema": 1,
        "title": heading.title,
        "subject": heading.subject,
        "when": heading.when.isoformat(timespec="seconds"),
        "labkit": heading.labkit,
        "lab": heading.lab,
        **report.to_json(),
        "diff": heading.diff,
    }
