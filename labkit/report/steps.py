"""The steps that a check did in the browser, read from Playwright's trace."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import language
from labkit.language import marked

MOST_BYTES = 50_000_000
"""How much of a trace is read."""


@dataclass(frozen=True)
class Step:
    """One thing that was done, at a time in seconds since 1970; `error` is why it failed."""

    at: float
    text: str
    error: str | None = None


def read(trace: Path) -> list[Step]:
    """The steps of a trace; none if there is no trace, or it cannot be read."""
    try:
        with zipfile.ZipFile(trace) as archive, archive.open("trace.trace") as file:
            lines = file.read(MOST_BYTES).decode("utf-8", "replace").split("\n")
    except (OSError, KeyError, zipfile.BadZipFile, ValueError):
        return []
    return list(_steps(_events(lines)))


def _events(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        # Most of a trace are snapshots of the page, which need not be parsed.
        if line.startswith(('{"version', '{"type":"before"', '{"type":"after"')):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _steps(events: Iterator[dict[str, Any]]) -> Iterator[Step]:
    found: dict[str, Step] = {}
    wall, since = 0.0, 0.0
    for event in events:
        kind = event.get("type")
        if kind == "context-options":
            wall, since = event.get("wallTime", 0) / 1000, event.get("monotonicTime", 0)
        elif kind == "before":
            words = in_words(event.get("method", ""), event.get("params") or {})
            if words:
                found[event.get("callId", "")] = Step(wall + (event.get("startTime", since) - since) / 1000, words)
        elif kind == "after" and event.get("callId") in found:
            step = found.pop(event["callId"])
            error = event.get("error") or {}
            message = error.get("message") or (error.get("error") or {}).get("message")
            yield Step(step.at, step.text, str(message).split("\n")[0] if message else None)
    yield from found.values()  # that never came to their end


def in_words(method: str, params: dict[str, Any]) -> str | None:
    """A call in words; None for one that only looks."""
    if method not in _WORDS:
        return None
    selector = described(str(params.get("selector", "")))
    value = str(params.get("value", params.get("text", params.get("key", ""))))
    if re.search(r"passw|secret|token", selector, re.IGNORECASE):
        value = "…"
    offline = language.translated(_SWITCHED[bool(params.get("offline"))])
    return language.said(_WORDS[method], selector=selector, value=value, url=params.get("url", ""), offline=offline)


_SWITCHED = marked("on", "off")
_WORDS = {
    "newPage": "open a page",
    "goto": "go to {url}",
    "reload": "load the page anew",
    "goBack": "go back",
    "goForward": "go forward",
    "hover": "point at {selector}",
    "fill": "fill {selector} with “{value}”",
    "type": "type “{value}” into {selector}",
    "press": "press {value} in {selector}",
    "selectOption": "choose in {selector}",
    "setInputFiles": "choose a file in {selector}",
    "bringToFront": "bring the page to the front",
    "setOffline": "the network is {offline}",
    "clockFastForward": "put the page's clock forward",
    **dict(
        zip(
            ("click", "dblclick", "tap", "check", "uncheck"),
            marked(
                *("click {selector}", "double-click {selector}", "tap {selector}"),
                *("check {selector}", "uncheck {selector}"),
            ),
            strict=True,
        )
    ),
}


def described(selector: str) -> str:
    """A selector of Playwright's as a person would say it: `button “Next question”`, `“option”, the first`."""
    parts = [_part(part.strip()) for part in selector.split(" >> ")]
    return ", ".join(filter(None, parts))


def _part(part: str) -> str:
    if match := re.fullmatch(r"internal:role=(\w+)(?:\[name=\"(.*?)\"[is]?\].*)?", part):
        return f"{match[1]} “{match[2]}”" if match[2] else match[1]
    if match := re.fullmatch(r"internal:(?:label|text|attr|testid)=(?:\[[\w-]+=)?[\"/]?(.*?)[\"/]?[is]?\]?", part):
        return f"“{match[1]}”"
    if match := re.fullmatch(r"nth=(-?\d+)", part):
        number = int(match[1])
        return language.translated({0: "the first", -1: "the last"}.get(number, f"number {number + 1}"))
    return "" if part.startswith("internal:") else part
