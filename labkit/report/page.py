"""The page of a report: it asks no network for anything, and needs no other file but perhaps its pictures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labkit import language
from labkit.harmless import harmless
from labkit.report.evidence import MOST_ENTRIES, Entry, Evidence, Picture, Recording
from labkit.verify.report import Check, Report, Result, Verdict

if TYPE_CHECKING:
    from labkit.report import Heading

PARTS = ("expected", "seen", "where", "cause", "next")

SIGNS = {Verdict.PASSED: "✓", Verdict.NOT_DONE: "✗", Verdict.TIMED_OUT: "✗", Verdict.SKIPPED: "-"}
"""Every other verdict is an exclamation mark."""


@dataclass(frozen=True)
class Moment:
    """What several pages showed at one moment, and what had happened until then; seconds count from the first entry."""

    id: str
    pictures: tuple[tuple[Picture, int], ...]
    """Each with the number of pages that looked like it."""

    entries: tuple[tuple[float, Entry, str], ...]
    left_out: int


@dataclass(frozen=True)
class Failure:
    """A check that did not pass; `moment` is shown with it, `earlier` with another check before it."""

    check: Check
    result: Result
    parts: tuple[tuple[str, str], ...]
    moment: Moment | None
    earlier: Moment | None


def render(report: Report, heading: "Heading", evidence: Evidence, pictures: str | None = None) -> str:
    """The page as HTML; `pictures` is the folder beside it that has the pictures, if they are no part of the page."""
    failures = tuple(_failures(report, evidence))
    counted = [result.verdict for _, result in report.results]
    return (
        templates("labkit.report")
        .get_template("report.html")
        .render(
            report=report,
            heading=heading,
            evidence=evidence,
            pictures=pictures,
            failures=failures,
            rest=_rest(report, evidence, failures),
            passed=counted.count(Verdict.PASSED),
            skipped=counted.count(Verdict.SKIPPED),
            total=len(counted),
            diff=[(_kind_of(line), line) for line in heading.diff.split("\n")] if heading.diff else [],
        )
    )


def templates(package: str) -> Environment:
    """The templates of a package, for pages with hostile text in them."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "anchor": _anchor,
        "sign": lambda verdict: SIGNS.get(verdict, "!"),
        "translated": language.translated,
    }
    environment.globals |= {"t": language.said, "language": language.chosen() or "en"}
    return environment


def _shown(value: Any) -> Any:
    """What a template puts in: text that anybody may have made is freed from control characters first."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _failures(report: Report, evidence: Evidence) -> Iterable[Failure]:
    """The checks that did not pass, each set of recordings once."""
    moments: dict[tuple[str, ...], Moment] = {}
    by_name = {each.name: each for each in evidence.recordings}
    for check, result in report.results:
        if result.verdict in (Verdict.PASSED, Verdict.SKIPPED):
            continue
        names = tuple(name for name in _recordings_of(result, evidence) if name in by_name)
        moment = None
        if names and names not in moments:
            moment = moments[names] = _moment(f"moment-{len(moments) + 1}", [by_name[name] for name in names])
        yield Failure(
            check,
            result,
            tuple((part, value) for part in PARTS if (value := getattr(result, part))),
            moment,
            None if moment else moments.get(names),
        )


def _recordings_of(result: Result, evidence: Evidence) -> Iterable[str]:
    folders = dict.fromkeys(Path(path).parent for path in result.evidence if path.endswith("events.jsonl"))
    for folder in folders:
        if evidence.folder and folder.is_relative_to(evidence.folder):
            yield folder.relative_to(evidence.folder).as_posix()


def _rest(report: Report, evidence: Evidence, failures: Sequence[Failure]) -> Moment | None:
    """What the pages showed in the end, where no failure shows them."""
    shown = {name for each in failures for name in _recordings_of(each.result, evidence)}
    others = [each for each in evidence.recordings if each.name not in shown]
    return _moment("moment-end", others) if any(each.pictures or each.entries for each in others) else None


def _moment(id_: str, recordings: Sequence[Recording]) -> Moment:
    pictures = [picture for each in recordings for picture in each.pictures]
    until = max((each.at for each in pictures), default=float("inf"))
    alike = Counter((each.place, each.name) for each in pictures)
    first = {(each.place, each.name): each for each in reversed(pictures)}
    entries = sorted(
        ((entry, each.name) for each in recordings for entry in each.entries if entry.at <= until),
        key=lambda each: each[0].at,
    )
    began = entries[0][0].at if entries else 0.0
    kept = entries[-MOST_ENTRIES:]
    return Moment(
        id_,
        tuple((first[key], number) for key, number in alike.items()),
        tuple((entry.at - began, entry, name) for entry, name in kept),
        len(entries) - len(kept) + sum(each.left_out for each in recordings),
    )


def _anchor(text: str) -> str:
    """An id of HTML for any text."""
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in text)


def _kind_of(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "file"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "same")
