"""JUnit XML, as CI servers and graders read it: a suite for each task, a case for each check."""

from datetime import datetime
from xml.etree import ElementTree

from labkit.harmless import harmless
from labkit.verify.report import Report, Result, Verdict

_TAGS = {
    Verdict.NOT_DONE: "failure",
    Verdict.TIMED_OUT: "failure",
    Verdict.ENVIRONMENT: "error",
    Verdict.CHECKER: "error",
    Verdict.SKIPPED: "skipped",
}


def render(report: Report, when: datetime) -> str:
    """The report as JUnit XML."""
    root = ElementTree.Element("testsuites", name=report.exercise, time=f"{report.duration:.3f}")
    add(root, report, when)
    return finished(root)


def add(root: ElementTree.Element, report: Report, when: datetime, before: str = "") -> None:
    """Add a report's suites to those that are there, their names with `before` before them."""
    for task in report.tasks:
        suite = ElementTree.SubElement(root, "testsuite", name=f"{_plain(before)}{task.id} {_plain(task.title)}")
        suite.set("timestamp", when.isoformat(timespec="seconds"))
        tags = [_TAGS.get(result.verdict) for _, result in task.checks]
        counts = {
            "tests": len(tags),
            "failures": tags.count("failure"),
            "errors": tags.count("error"),
            "skipped": tags.count("skipped"),
        }
        for name, count in counts.items():
            suite.set(name, str(count))
        for (check, result), tag in zip(task.checks, tags, strict=True):
            case = ElementTree.SubElement(suite, "testcase", classname=task.id, name=_plain(check.title))
            if tag:
                said = ElementTree.SubElement(case, tag, message=_message(result))
                if tag != "skipped":
                    said.set("type", result.verdict.value)
                    said.text = _details(result)


def add_fault(root: ElementTree.Element, name: str, said: str, is_error: bool) -> None:
    """Add a suite of one case that could not be tried, or has not passed as a whole."""
    counts = {"tests": "1", "failures": str(int(not is_error)), "errors": str(int(is_error)), "skipped": "0"}
    suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(name), **counts})
    case = ElementTree.SubElement(suite, "testcase", classname="submission", name=_plain(name))
    ElementTree.SubElement(case, "error" if is_error else "failure", message=_plain(said))


def finished(root: ElementTree.Element) -> str:
    """The document, with the sums of its suites."""
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _message(result: Result) -> str:
    if result.expected:
        return _plain(f"expected {result.expected}; seen {result.seen or 'nothing of the kind'}")
    return _plain(result.cause or result.verdict.value)


def _details(result: Result) -> str:
    parts = ("expected", "seen", "where", "cause", "next")
    return "\n".join(f"{part}: {_plain(value)}" for part in parts if (value := getattr(result, part)))


def _plain(text: str) -> str:
    """Text that XML may have."""
    return "".join(each for each in harmless(text) if each not in "\ufffe\uffff")
