"""What is wrong with a page's scripts: errors, answers and console messages, mapped to the app's own files."""

import difflib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from labkit.diagnosis import Place
from labkit.verify.causes.files import typographic
from labkit.verify.causes.finding import SCRIPTS, Answer, Facts, Finding, ScriptError

_NOT_DEFINED = re.compile(r"(?:^|\s)([\w$]+) is not defined")
_DECLARED = re.compile(r"Identifier '([\w$]+)' has already been declared")
_OF_NULL = re.compile(r"of (?:null|undefined)\b|\bnull is not")
_BY_ID = re.compile(r"getElementById\(\s*[\"'`]([\w-]+)[\"'`]|querySelector\(\s*[\"'`]#([\w-]+)[\"'`]")
_UNANSWERED = re.compile(r"Failed to fetch|NetworkError")
_SCRIPT = re.compile(r"<script\b[^>]*\bsrc=[\"']([^\"']+)")
_INLINE = re.compile(r"inline script", re.IGNORECASE)

_GLOBALS = """async ([name, url]) => {
  const scripts = [];
  for (const each of document.scripts) {
    if (!each.src) continue;
    const text = each.src === url ? "" : await fetch(each.src).then((answer) => answer.text(), () => "");
    scripts.push([each.src, new RegExp("\\\\b" + name.replace("$", "\\\\$") + "\\\\b").test(text)]);
  }
  return { isDefined: name in globalThis, names: Object.getOwnPropertyNames(globalThis), scripts };
}"""
"""What a page knows of a global name: whether it has it by now, its other names, and which scripts have the word."""


def explain(facts: Facts) -> Iterator[Finding]:
    """Everything that went wrong with the scripts of the pages, the likeliest first."""
    for answer in facts.answers:
        if answer.status >= 400 and answer.kind == "script":
            yield _refused_script(facts, answer)
    for error in thrown(facts):
        yield _error(facts, error)
    for said in facts.console:
        place = facts.place_of(said.url, said.line) if _INLINE.search(said.text) else None
        if place:
            yield Finding.at(
                place,
                "the browser runs no script that stands in a page (the app's Content-Security-Policy forbids it)",
                f"Move the script from {place} into a file of its own, and load that with <script src>.",
            )
    for answer in facts.answers:
        if answer.status in (404, 405, 410) and answer.kind in ("fetch", "xhr", "eventsource"):
            yield _refused_request(facts, answer)
    yield from _unloaded(facts)
    for error in facts.errors:
        if _UNANSWERED.search(error.text):  # the last, because checks cut networks
            yield _error(facts, error)


def thrown(facts: Facts) -> list[ScriptError]:
    """What scripts have thrown, without what was asked for in vain."""
    return [each for each in facts.errors if not _UNANSWERED.search(each.text)]


def endless_dialogs(facts: Facts) -> Iterator[Finding]:
    """Pages that opened one dialog after the other, at the line with its words, or else at one that opens such."""
    for seen in facts.seen:
        if asking := seen.endless:
            words = re.escape(asking.text.strip().split("\n")[0])
            patterns = [rf"\b{asking.kind}\s*\(.*{words}", *([words] if words else []), rf"\b{asking.kind}\s*\("]
            what = f"the page {urlsplit(asking.page).path} opens one {asking.kind} after the other"
            found = (place for endings in (SCRIPTS, ()) for each in patterns for place in facts.places(each, endings))
            if place := next(found, None):
                yield Finding.at(place, what)
            else:
                yield Finding(f"{what}: “{asking.text}”", None, f"Look for what opens the {asking.kind}, and mend it.")


def literal(facts: Facts, path: str) -> Place | None:
    """The line of a page or script that has this path, or the most of its beginning, in quotes."""
    parts = path.strip("/").split("/")
    for count in range(len(parts), 0, -1):
        wanted = "/".join(parts[:count])
        found = list(facts.places(rf"[\"'`]/?{re.escape(wanted)}/?(?:\?[^\"'`]*)?[\"'`]", SCRIPTS))
        if found:
            return found[0]
    return None


def _unloaded(facts: Facts) -> Iterator[Finding]:
    """Scripts that are there, that a page of begin loads, and that no page loads any more."""
    loaded = {src for text in facts.files.values() for src in _SCRIPT.findall(text)}
    for path, text in facts.original.items():
        for number, line in enumerate(text.split("\n"), start=1):
            found = _SCRIPT.search(line)
            script = facts.file_of(found[1]) if found else None
            if found and script and found[1] not in loaded and path in facts.files:
                yield Finding(
                    f"no page loads {script} any more: {path} has no `{line.strip()}`",
                    facts.place(path, min(number, facts.files[path].count("\n") + 1)),
                    f"Write `{line.strip()}` into {path} again, then verify again.",
                )


def _refused_script(facts: Facts, answer: Answer) -> Finding:
    what = f"the page asks for the script {answer.path} and gets {answer.status}"
    place = literal(facts, answer.path)
    names = {PurePosixPath(path).name: path for path in facts.files if path.endswith((".js", ".mjs"))}
    near = difflib.get_close_matches(PurePosixPath(answer.path).name, names, n=1, cutoff=0.8)
    there = f"; there is {names[near[0]]}" if near and near[0] != PurePosixPath(answer.path).name else ""
    if place:
        return Finding.at(place, f"{what}{there}", f"Correct the address in {place}, then verify again.")
    return Finding(f"{what}{there}")


def _refused_request(facts: Facts, answer: Answer) -> Finding:
    what = f"the page asks {answer.method} {answer.path} and gets {answer.status}"
    place = literal(facts, answer.path)
    if place:
        return Finding.at(place, what, f"Correct the address in {place}, or what serves it, then verify again.")
    return Finding(what)


def _error(facts: Facts, error: ScriptError) -> Finding:
    place = next((found for url, line in error.frames if (found := facts.place_of(url, line))), None)
    if error.name == "SyntaxError" and place is None:
        place = _unparsed(facts, error)
        if place and (finding := typographic(place)):
            return finding
    for pattern, find in ((_NOT_DEFINED, _not_defined), (_DECLARED, _declared_twice), (_OF_NULL, _nothing_there)):
        match = pattern.search(error.text)
        finding = find(facts, error, match, place) if match else None
        if finding:
            return finding
    if place:
        return _in_others_hands(facts, error) or Finding.at(place, str(error))
    path = urlsplit(error.frames[0][0] if error.frames else error.page).path
    return Finding(f"a script of the page{f' {path}' if path.startswith('/') else ''} failed: {error}")


def _in_others_hands(facts: Facts, error: ScriptError) -> Finding | None:
    """The trainee's line that has handed something wrong to code of the lab, which fails on it."""
    places = [found for url, line in error.frames if (found := facts.place_of(url, line))]
    own = [each for each in places if each.source not in facts.original.get(each.path, "").split("\n")]
    if not own or own[0] == places[0]:
        return None
    inner = f"line {places[0].line}" if places[0].path == own[0].path else str(places[0])
    return Finding.at(
        own[0],
        f"{error}, in {inner}, which was called from here",
        f"Look at what {own[0]} hands on, mend it, save the file and verify again.",
    )


def _unparsed(facts: Facts, error: ScriptError) -> Place | None:
    """The line that a script of the page cannot be parsed at, which the browser itself does not tell."""
    for answer in facts.answers:
        path = facts.file_of(answer.url) if answer.kind == "script" and answer.page == error.page else None
        fault = facts.parse(facts.files[path]) if path in facts.changed else None
        if path and fault and fault[1] in (str(error), error.text):
            return facts.place(path, fault[0])
    return None


def _not_defined(facts: Facts, error: ScriptError, match: re.Match[str], place: Place | None) -> Finding | None:
    if place is None:
        return None
    name = match[1]
    url = error.frames[0][0] if error.frames else ""
    known = facts.ask(error.page, _GLOBALS, [name, url]) or {"isDefined": False, "names": [], "scripts": []}
    urls = [each for each, _ in known["scripts"]]
    later = [each for each, has in known["scripts"][urls.index(url) + 1 :] if has] if url in urls else []
    if known["isDefined"] and later:
        needed, own = urlsplit(later[0]).path, urlsplit(url).path
        lines = [literal(facts, needed), literal(facts, own)]
        at = lines[0] or place
        return Finding(
            f"{place}: {error}, because {needed}, which defines it, is loaded after {own}"
            + (f": see {lines[0]}{lines[0].quoted}" if lines[0] else place.quoted),
            at,
            f"Put the line of {needed} above that of {own}" + (f" in {at.path}" if lines[0] else "") + ".",
        )
    words = set(re.findall(r"[A-Za-z_$][\w$]*", facts.files.get(place.path, ""))) - {name}
    alike = [each for each in (*known["names"], *words) if each.lower() == name.lower()]
    near = alike or difflib.get_close_matches(name, words, n=1, cutoff=0.85)
    if near:
        return Finding.at(place, f"{error}; did you mean {near[0]}?", f"Write {near[0]} in {place}, then verify again.")
    return None


def _declared_twice(facts: Facts, error: ScriptError, match: re.Match[str], place: Place | None) -> Finding | None:
    pattern = rf"\b(?:const|let|var|class|function)\s+{re.escape(match[1])}\b"
    path = place.path if place else None
    found = [each for each in facts.places(pattern, SCRIPTS) if path in (None, each.path)]
    if len(found) < 2:
        return None
    first, second = found[:2]
    is_same = first.path == second.path
    return Finding.at(
        second,
        f"{error}, in {f'line {first.line}' if is_same else first}",
        f"Delete the second copy of the code, which begins at {second} or a few lines above it, then verify again.",
    )


def _nothing_there(facts: Facts, error: ScriptError, match: re.Match[str], place: Place | None) -> Finding | None:
    """An element that a script looks for, and that the page does not have."""
    if place is None:
        return None
    ids = [first or second for first, second in _BY_ID.findall(place.source)]
    for each in ids:
        if facts.ask(error.page, "([id]) => document.getElementById(id) !== null", [each]) is not False:
            continue
        pattern = rf"\bid=[\"']{re.escape(each)}[\"']"
        homes = [path for path, text in facts.original.items() if re.search(pattern, text)]
        lost = [path for path in homes if not re.search(pattern, facts.files.get(path, ""))]
        what = f"{error}: no element of the page has the id “{each}”"
        if lost:
            return Finding.at(
                place, f"{what}; {lost[0]} had it", f'Give the element in {lost[0]} its id="{each}" again.'
            )
        return Finding.at(place, what)
    return None
