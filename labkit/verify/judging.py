"""The verdict on what a check, or one of its fixtures, has raised, in a trainee's words."""

import re

import pytest
from playwright.sync_api import Error
from playwright.sync_api import TimeoutError as TooLate

from labkit import browser, policies
from labkit.checking import NotDone
from labkit.errors import MachineError
from labkit.language import marked
from labkit.services.postgres.server import Unusable
from labkit.verify.causes.finding import Dialog
from labkit.verify.report import Result, Verdict

_LOCATORS = (
    (r"get_by_label\([\"'](.+?)[\"'].*?\)", "the field “{}”"),
    (r"get_by_role\([\"'](\w+)[\"'], name=[\"'](.+?)[\"'].*?\)", "the {} “{}”"),
    (r"get_by_role\([\"'](\w+)[\"'].*?\)", "the {}"),
    (r"get_by_text\([\"'](.+?)[\"'].*?\)", "the text “{}”"),
    (r"get_by_test_id\([\"'](.+?)[\"'].*?\)", "the element with data-testid “{}”"),
    (r"get_by_(?:placeholder|title|alt_text)\([\"'](.+?)[\"'].*?\)", "the element “{}”"),
    (r"locator\([\"'](.+?)[\"']\)", "the element {}"),
)
(_THE_BROWSER,) = marked("This machine's browser")
_COMPARED = re.compile(r"^assert (?P<left>.+?) (?P<sign>==|not in|in) (?P<right>.+)$")


def verdict(error: BaseException) -> Result:
    """The verdict on an exception; only what is neither the app's nor the machine's is the checker's fault."""
    if isinstance(error, NotDone):
        return Result(Verdict.NOT_DONE, error.expected, error.seen, error.where, error.cause, error.next)
    if isinstance(error, pytest.skip.Exception):
        return Result(Verdict.SKIPPED, cause=error.msg)
    if isinstance(error, Unusable):
        return Result(Verdict.NOT_DONE, "the database answers", "no answer", cause=error.message, next=error.next)
    if isinstance(error, MachineError):
        return Result(Verdict.ENVIRONMENT, cause=error.message, next=error.next)
    if isinstance(error, TooLate):
        return _too_late(error.message)
    if isinstance(error, Error):
        if "Executable doesn't exist" in error.message or "launch:" in error.message:
            if found := policies.forbidden(error.message):
                return forbidden(found)
            return Result(
                Verdict.ENVIRONMENT,
                cause=f"The browser cannot be launched: {_of_launch(error.message)}",
                next="labkit doctor",
            )
        if "net::ERR_" in error.message:
            return _unreachable(error.message)
        if "has been closed" in error.message or "crashed" in error.message:
            return Result(Verdict.ENVIRONMENT, cause=f"The browser has ended: {error.message}", next="labkit doctor")
        return fault(error)
    if isinstance(error, AssertionError):
        return _assertion(str(error))
    if "reading from the driver" in str(error):  # which is of no class of its own
        return Result(Verdict.ENVIRONMENT, cause=f"Playwright's driver has ended: {error}", next="labkit doctor")
    return fault(error)


def forbidden(found: str) -> Result:
    """The verdict that a policy of the machine keeps its browser from what apps need."""
    return verdict(browser.refusal(_THE_BROWSER, found))


def endless(asking: Dialog) -> Result:
    """The verdict on a page that had to be closed, because it opened one dialog after the other."""
    said = f": “{asking.text[:200]}”" if asking.text else ""
    return Result(
        Verdict.NOT_DONE, "the page can be used", f"one {asking.kind} after the other, without end{said}", asking.page
    )


def fault(error: BaseException) -> Result:
    """The verdict that the check, or the lab, is at fault."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, pytest.FixtureLookupError):
        message = error.formatrepr().errorstring
    first, *_ = message.strip().split("\n")
    return Result(Verdict.CHECKER, cause=f"{type(error).__name__}: {first}")


def spoken(locator: str) -> str:
    """An element as a person says it: `get_by_role("button", name="Play")` is the button “Play”."""
    parts = []
    for part in re.split(r"\.(?=get_by_|locator\(|first\b|last\b|nth\(|filter\()", locator):
        for pattern, words in _LOCATORS:
            if match := re.fullmatch(pattern, part):
                parts.append(words.format(*match.groups()))
                break
    return " in ".join(reversed(parts)) or locator


def _too_late(message: str) -> Result:
    """The verdict on a wait that was in vain."""
    within = re.search(r"Timeout (\d+)ms", message)
    seconds = f" within {int(within[1]) / 1000:g} s" if within else " in time"
    waited = re.search(r"waiting for ((?:get_by_|locator).+)", message)
    if waited:
        element = spoken(waited[1])
        is_there = "locator resolved to" in message
        seen = f"it is there, but could not be used{seconds}" if is_there else f"it is not there{seconds}"
        return Result(Verdict.NOT_DONE, expected=f"{element} on the page", seen=seen)
    address = re.search(r"navigating to [\"'](.+?)[\"']", message)
    return Result(
        Verdict.NOT_DONE,
        expected=f"the page {address[1]} opens" if address else "the app answers",
        seen=f"no answer{seconds}" if address else f"it was not done{seconds}",
    )


_OF_THE_MACHINE = frozenset(
    {
        *("BLOCKED_BY_ADMINISTRATOR", "BLOCKED_BY_CLIENT", "BLOCKED_ENROLLMENT_CHECK_PENDING"),
        *("PROXY_CONNECTION_FAILED", "TUNNEL_CONNECTION_FAILED", "INTERNET_DISCONNECTED", "NETWORK_ACCESS_DENIED"),
        *("INSUFFICIENT_RESOURCES", "OUT_OF_MEMORY", "FILE_NO_SPACE"),
    }
)
"""Chromium's reasons that no app can give."""


def _of_launch(message: str) -> str:
    """What a browser that did not start said of it, without its flags and the steps before."""
    lines = [re.sub(r"^(\[[^\]]*\]\s*)+", "", line.strip(" -\t")) for line in message.splitlines()]
    told = [
        line
        for line in lines
        if re.search(r"ERROR|[Mm]issing|cannot|No such|denied|exitCode=[1-9]", line) and "to the bus" not in line
    ]
    return " ".join(dict.fromkeys([lines[0].removeprefix("BrowserType.launch: "), *told[:1]]))[:300]


def _unreachable(message: str) -> Result:
    """The verdict on a page that could not be fetched at all."""
    address = re.search(r"net::ERR_(\w+) at (\S+)", message)
    if address is None:
        return Result(Verdict.NOT_DONE, expected="the app answers", seen="no answer")
    how = address[1].replace("_", " ").lower()
    if address[1] in _OF_THE_MACHINE:
        return Result(
            Verdict.ENVIRONMENT,
            cause=f"This machine keeps its browser from {address[2]}: {how}.",
            next="Have whoever manages it let browsers open http://127.0.0.1, or name another one: "
            f"{browser.VARIABLE}=/path/to/browser labkit verify",
        )
    return Result(Verdict.NOT_DONE, expected="the app answers", seen=f"no answer: {how}", where=address[2])


def _assertion(text: str) -> Result:
    """The verdict on `expect` of Playwright, whose message has several parts, or on a plain `assert`."""
    message, *rest = text.split("\n")
    waited = re.search(r"waiting for ((?:get_by_|locator).+)", text)
    compared = _COMPARED.match(message)
    if compared and not waited:
        left, sign, right = compared["left"], compared["sign"], compared["right"]
        expected = right if sign == "==" else f"{left} {sign} it"
        return Result(Verdict.NOT_DONE, expected=expected, seen=left if sign == "==" else right)
    expected = re.sub(r"^(Locator|Page) expected ", f"{spoken(waited[1]) if waited else 'the page'} ", message)
    parts = dict(line.split(":", 1) for line in rest if re.match(r"(Actual value|Received|Error):", line))
    seen = next((value.strip() for value in parts.values() if value.strip() not in ("", "None")), None)
    if seen == "element(s) not found":
        seen = "it is not on the page"
    return Result(
        Verdict.NOT_DONE,
        expected=expected or "what the check asserts",
        seen=seen or (rest[0] if rest and not parts else None) or "nothing of the kind",
    )
