"""Causes that only somebody knows who knows SignalR: what the server sends and the page listens to, and where.

The code is read, never run: Python as its syntax tree, JavaScript by the calls of the official client.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import pytest
from playwright.sync_api import BrowserContext

from labkit.diagnosis import Place
from labkit.verify.causes import Facts, Finding, is_about_pages
from labkit.verify.causes.finding import SCRIPTS
from labkit.verify.causes.pages import thrown
from labkit.verify.causes.python import parsed
from labkit.verify.report import Check

_WATCH = """(() => {
  const prepare = () => {
    const hub = window.signalR?.HubConnection?.prototype, invoke = hub?._invokeClientMethod;
    if (!invoke || invoke.isWatched) return;
    const report = (error) => console.debug("labkit: uncaught", error?.stack ?? String(error));
    const watched = (handler) => ({
      handler,
      apply(self, given) {
        try {
          const result = handler.apply(self, given);
          if (result instanceof Promise) result.catch(report);
          return result;
        } catch (error) {
          report(error);
          throw error;
        }
      },
    });
    hub._invokeClientMethod = function (message) {
      const name = String(message.target).toLowerCase(), own = this._methods?.[name];
      if (!own) return invoke.call(this, message);
      const all = this._methods[name] = own.map(watched);
      try {
        return invoke.call(this, message);
      } finally {
        if (this._methods[name] === all) this._methods[name] = all.map((each) => each.handler ?? each);
      }
    };
    hub._invokeClientMethod.isWatched = true;
    for (const name of ["onreconnecting", "onreconnected", "onclose"]) {
      const own = hub[name];
      hub[name] = function (handler) {
        const heard = (...given) => watched(handler).apply(this, given);
        return own.call(this, typeof handler === "function" ? heard : handler);
      };
    }
  };
  prepare();
  document.addEventListener("load", prepare, true);  // of each script, before the next one runs
})();"""
"""Reports what a page's handlers throw: the official client catches it, and says nothing unless logging is on."""

_OF_THE_RETURN = "/a-page-that-was-offline-catches-up"
"""The check of what a page does once its network is there again."""

_OF_THE_STREAM = ("/the-tables-are-there", "/every-answer-is-a-message", "/another-server-is-heard")
"""Checks of the way that messages take: when or to whom one is sent is no cause of what they find."""


@dataclass(frozen=True)
class Call:
    """A call in the app's Python code, with the function that it is in, and its first argument if that is a text."""

    place: Place
    function: str | None
    receiver: str
    text: str | None
    condition: Place | None = None
    """The innermost `if` of the function that the call depends on."""

    count: int | None = None
    """How many arguments it has; None if that depends on what they are."""

    has_authorize: bool = False
    """Whether it says who is let in."""


@pytest.hookimpl(optionalhook=True)
def pytest_labkit_context(context: BrowserContext) -> None:
    """Watch the handlers of every page."""
    context.add_init_script(_WATCH)


@pytest.hookimpl(optionalhook=True)
def pytest_labkit_cause(facts: Facts, check: Check) -> Finding | None:
    """What SignalR's two sides do not agree on, or what one of them does not do."""
    searches = [_unmapped, _backplane, _applications]
    if check.id.endswith("/the-hub-refuses-a-stranger"):
        searches += [_open]
    if facts.side == "server":
        searches += [_waiting]
    if is_about_pages(facts, check):
        has_thrown = bool(thrown(facts))
        searches += [_client, _arguments] if has_thrown else [_unstarted, _names, _arguments]
        if check.id.endswith(_OF_THE_RETURN) and facts.side == "page" and not has_thrown:
            searches += [_return]
    if facts.side or not check.id.endswith(_OF_THE_STREAM):
        searches += [_listening] if facts.side == "page" else [_sending]
    return next((finding for search in searches for finding in search(facts)), None)


def _unmapped(facts: Facts) -> Iterator[Finding]:
    """A hub that is not where pages, or the manual, look for it."""
    hubs = _calls(facts, "hub")
    mounts = [each for each in _calls(facts, "mount") if each.text and _names_app(facts, each)]
    mapped = {f"{mount.text}{hub.text}": (mount, hub) for mount in mounts for hub in hubs if hub.text is not None}
    if hubs and not mounts and _snippet_line(facts, ".mount("):
        line, home = _snippet_line(facts, ".mount(") or ("", "")
        yield Finding(
            f"nothing mounts the SignalR application, so no hub is mapped: {home} has no `{line}`",
            Place(home, 1, ""),
            f"Write `{line}` at the end of configure in {home}, then verify again.",
        )
        return
    for each in facts.places(r"\.withUrl\(\s*[\"'`]([^\"'`?]+)", SCRIPTS):
        match = re.search(r"\.withUrl\(\s*[\"'`]([^\"'`?]+)", each.source)
        asked = match[1].rstrip("/") if match else ""
        if re.match(r"(https?|wss?)://", asked):
            path = re.sub(r"^\w+://[^/]*", "", asked)
            yield Finding.at(
                each,
                f"the page connects to another server, {asked}, not to the one that it comes from",
                f"Write {path} in {each}, then verify again.",
            )
        if not mapped or not asked.startswith("/") or asked in mapped:
            continue
        path, (mount, hub) = next(iter(mapped.items()))
        own, home = hub.text or "", mount.text or ""
        # Of the two halves of the path, the mount's and the hub's own, the one that differs is to be mended.
        if asked.startswith(f"{home}/"):
            at, wanted = hub, asked.removeprefix(home)
        else:
            at, wanted = mount, asked.removesuffix(own) if asked.endswith(own) else re.sub(r"(?<=.)/.*", "", asked)
        said = f"the page connects to {asked} ({each}), the hub is mapped to {path} ({at.place})"
        if _is_the_manuals(facts, asked):
            yield Finding(f"{said}{at.place.quoted}", at.place, f"Write {wanted} in {at.place}, then verify again.")
        else:
            yield Finding(f"{said}{each.quoted}", each, f"Write {path} in {each}, then verify again.")


def _applications(facts: Facts) -> Iterator[Finding]:
    """A message that is sent by another SignalR application than the one whose hubs pages are connected to."""
    made = _calls(facts, "SignalR")
    for send in _calls(facts, "send"):
        own = next((each for each in made if each.place.path == send.place.path), None)
        other = next((each for each in made if own and each.place.path != own.place.path), None)
        if own and other and "clients" in send.receiver:
            yield Finding.at(
                own.place,
                f"this makes another SignalR application than {other.place}, and the message is sent by this one, "
                "to which no page is connected",
                f"Delete {own.place}, and import the application from {other.place.path}, then verify again.",
            )


def _open(facts: Facts) -> Iterator[Finding]:
    """A hub that says nothing of who may connect."""
    for hub in _calls(facts, "hub"):
        if hub.text is not None and not hub.has_authorize:
            yield Finding.at(
                hub.place,
                "the hub lets everybody in: authorize=True is missing",
                f"Write authorize=True in the brackets of {hub.place}, then verify again.",
            )


def _client(facts: Facts) -> Iterator[Finding]:
    """A page that uses the client, and that does not load it."""
    line = _snippet_line(facts, "signalr.js")
    is_missed = any("signalR is not defined" in error.text for error in facts.errors)
    named = _lines(facts, r"(?i)signalr\S*\.js[\"']")
    tags = [each for each in named if re.search(r"<\w", each.source)]
    loading = [each for each in named if re.search(r"(?i)<script\b[^>]*\ssrc\s*=", each.source)]
    if line and is_missed and tags and not loading:
        place = tags[0]
        yield Finding.at(
            place,
            f"this loads no script, and the page uses signalR: the manual has `{line[0]}`",
            f"Write `{line[0]}` in {place}, then verify again.",
        )
    if line and is_missed and not named:
        yield Finding(
            f"the page uses signalR, and loads no script that defines it: {line[1]} has no `{line[0]}`",
            Place(line[1], 1, ""),
            f"Write `{line[0]}` in {line[1]}, above the page's own script, then verify again.",
        )


def _backplane(facts: Facts) -> Iterator[Finding]:
    """A backplane that the manual has, and the code has not."""
    line = _snippet_line(facts, ".use_backplane(")
    if line and not _calls(facts, "use_backplane"):
        yield Finding(
            f"no line uses a backplane: {line[1]} has no `{line[0]}`",
            Place(line[1], 1, ""),
            f"Write `{line[0]}` in {line[1]}, above the line that mounts the hubs, then verify again.",
        )


def _unstarted(facts: Facts) -> Iterator[Finding]:
    """A connection that is built, and never started; or none."""
    built = list(facts.places(r"\bHubConnectionBuilder\b", SCRIPTS))
    built = [each for each in built if not each.source.lstrip().startswith("//")]
    if built and not _lines(facts, r"\.start\("):
        yield Finding.at(
            built[0],
            "this builds a connection, and no line starts it",
            f"Write `connection.start()` at the end of {built[0].path}, then verify again.",
        )


def _names(facts: Facts) -> Iterator[Finding]:
    """A method that the server calls, and that no page has a handler for."""
    sends = [each for each in _calls(facts, "send") if "clients" in each.receiver and each.text]
    listens = [
        (match[1], each)
        for each in _lines(facts, r"\.on\(\s*[\"'`][^\"'`]+")
        if (match := re.search(r"\.on\(\s*[\"'`]([^\"'`]+)", each.source))
    ]
    heard = {name.lower() for name, _ in listens}
    sent = {(each.text or "").lower() for each in sends}
    for send in sends:
        name = send.text or ""
        if name.lower() in heard:
            continue
        said = f"the server sends “{name}” ({send.place})"
        others = [(each, place) for each, place in listens if each.lower() not in sent]
        if not others:
            built = _lines(facts, r"\bHubConnectionBuilder\b")
            at = built[0] if built else send.place
            advice = f'Write a handler, connection.on("{name}", …), before connection.start() in {at.path}.'
            yield Finding(f"{said}, and no page has a handler for it", at, advice)
            continue
        other, place = others[0]
        said = f"{said}, the page listens to “{other}” ({place})"
        if other in "\n".join(facts.snippets.values()) and name not in "\n".join(facts.snippets.values()):
            yield Finding(
                f"{said}{send.place.quoted}", send.place, f"Write {other} in {send.place}, then verify again."
            )
        else:
            yield Finding(f"{said}{place.quoted}", place, f"Write {name} in {place}, then verify again.")


def _arguments(facts: Facts) -> Iterator[Finding]:
    """A message without what its handler takes."""
    for send in _calls(facts, "send"):
        if "clients" not in send.receiver or not send.text or send.count is None:
            continue
        name = re.escape(send.text)
        pattern = rf"\.on\(\s*[\"'`]{name}[\"'`]\s*,\s*(?:async\s*)?(?:function\s*\w*\s*)?\(([^()]*)\)"
        for place in _lines(facts, pattern):
            match = re.search(pattern, place.source)
            taken = [each.strip() for each in match[1].split(",") if each.strip()] if match else []
            given = send.count - 1
            if given < len(taken) and not any("=" in each or "..." in each for each in taken):
                yield Finding.at(
                    send.place,
                    f"“{send.text}” is sent with {given or 'no'} arguments, and the page's handler takes {len(taken)}: "
                    f"{', '.join(taken)} ({place})",
                    f"Send {', '.join(taken[given:])} as well in {send.place}, then verify again.",
                )


def _listening(facts: Facts) -> Iterator[Finding]:
    """A handler that is taken away again, or that shows a message under a condition only."""
    for place in _lines(facts, r"\.off\(\s*[\"'`]"):
        yield Finding.at(place, "this takes the handler away again", f"Delete {place}, then verify again.")
    for begin in _lines(facts, r"\.on\(\s*[\"'`]"):
        taken = next(iter(re.findall(r",\s*(?:async\s*)?(?:function\s*\w*\s*)?\(?\s*(\w+)", begin.source)), None)
        lines = facts.files[begin.path].split("\n")
        for number, line in enumerate(_indented(lines[begin.line :], begin.source), start=begin.line + 1):
            condition = re.search(r"\bif\s*\((.+?)\)(?:\s|$)", line)
            if condition and not any(line.strip() in text for text in facts.snippets.values()):
                depends = [line[condition.end() :], *_indented(lines[number:], line)]
                if taken and not any(re.search(rf"\b{taken}\b", each) for each in depends):
                    continue  # it is something else than the message that depends on it
                yield Finding.at(
                    facts.place(begin.path, number),
                    f"the message is shown only under a condition, `if ({condition[1]})`",
                    f"Write {begin.path}:{number} without the condition, then verify again.",
                )


def _indented(lines: Sequence[str], above: str) -> list[str]:
    """The first of these lines, as far as they are indented more than the one above."""
    indent = len(above) - len(above.lstrip())
    return list(takewhile(lambda line: not line.strip() or len(line) - len(line.lstrip()) > indent, lines))


def _return(facts: Facts) -> Iterator[Finding]:
    """A page that does not come back, or that misses what was sent while it was away."""
    built = _lines(facts, r"\bHubConnectionBuilder\b")
    for method, lacks, does_not in (
        (
            ".withAutomaticReconnect(",
            "this connection does not connect again once it has ended",
            "the page does not connect again in time: this says when it tries",
        ),
        (
            ".onreconnected(",
            "the page has connected again, and no line catches up on what was sent meanwhile",
            "the page has connected again, and this does not catch up on what was sent meanwhile",
        ),
    ):
        line, there = _snippet_line(facts, method), _lines(facts, re.escape(method))
        if line and built and not there:
            code = re.sub(r"\s*//.*$", "", line[0])
            yield Finding.at(
                built[0],
                f"{lacks}: {line[1]} has no `{code}`",
                f"Write `{code}` in {line[1]}, where the manual has it, then verify again.",
            )
        for place in there:
            if not any(place.source.strip() in text for text in facts.snippets.values()):
                yield Finding.at(place, does_not)


def _waiting(facts: Facts) -> Iterator[Finding]:
    """A line that waits for nothing but time."""
    for place in facts.places(r"\bsleep\(", (".py",)):
        if place.path in facts.changed and place.source not in facts.original.get(place.path, "").split("\n"):
            yield Finding.at(place, "this waits, and every answer with it", f"Delete {place}, then verify again.")


def _sending(facts: Facts) -> Iterator[Finding]:
    """A message that is not sent, sent to somebody else than all, or sent before the answer is stored."""
    sends = [each for each in _calls(facts, "send") if "clients" in each.receiver]
    line = _snippet_line(facts, "clients.all.send(")
    teller = next(facts.places(_defining(facts, line[0]), (".py",)), None) if line else None
    if line and teller and not [each for each in _calls(facts, "send") if each.place.path in facts.changed]:
        yield Finding.at(
            teller,
            f"this sends no message to the pages: it has no `{line[0]}`",
            f"Write `{line[0]}` in {line[1]}, where the manual has it, then verify again.",
        )
    for send in sends:
        if send.function and not _calls(facts, send.function):
            line = _snippet_line(facts, f"{send.function}(")
            where = f": {line[1]} has no `{line[0]}`" if line else ""
            yield Finding(
                f"no line calls {send.function}, which sends the message ({send.place}){where}",
                Place(line[1], 1, "") if line else send.place,
                f"Write `{line[0]}` in {line[1]}, after the answer is stored, then verify again." if line else None,
            )
    for send in sends:
        calls = _calls(facts, send.function) if send.function else [send]
        for call in calls:
            commits = [each for each in _calls(facts, "commit") if each.place.path == call.place.path]
            later = [each for each in commits if each.function == call.function and each.place.line > call.place.line]
            earlier = [each for each in commits if each.function == call.function and each not in later]
            if later and not earlier:
                yield Finding.at(
                    call.place,
                    f"the message is sent before the answer is stored, in line {later[0].place.line}",
                    f"Move line {call.place.line} of {call.place.path} below line {later[0].place.line}.",
                )
    yield from _conditions(facts, sends)
    for send in sends:
        target = re.search(r"clients\.(\w+)", send.receiver)
        if target and target[1] != "all":
            yield Finding.at(
                send.place,
                f"the message goes to clients.{target[1]}, not to everybody who is connected",
                f"Write clients.all in {send.place}, then verify again.",
            )


def _conditions(facts: Facts, sends: list[Call]) -> Iterator[Finding]:
    """A message that is sent under a condition only, or by another function than the one that stores the answer."""
    commits = _calls(facts, "commit")
    for send in sends:
        for call in [send, *(_calls(facts, send.function) if send.function else [])]:
            if call.condition:
                said = call.condition.source.strip().removesuffix(":")
                yield Finding.at(
                    call.condition,
                    f"the message is sent only under a condition, `{said}`",
                    f"Write line {call.place.line} of {call.place.path} without the condition, then verify again.",
                )
        calls = [each for each in (_calls(facts, send.function) if send.function else []) if each.function]
        line = _snippet_line(facts, f"{send.function}(")
        if line and calls and not any(each.place.path == line[1] for each in calls):
            yield Finding.at(
                calls[0].place,
                f"the message is sent from here, not by {line[1]}, where the answer is stored",
                f"Write `{line[0]}` in {line[1]}, after the answer is stored, then verify again.",
            )
        stores = [each for each in commits if each.function and calls and each.place.path == calls[0].place.path]
        if stores and not any(_is_in(facts, call, store.function) for call in calls for store in stores):
            yield Finding.at(
                calls[0].place,
                f"the message is sent by {calls[0].function}, and the answer is stored by {stores[0].function} "
                f"({stores[0].place})",
                f"Move line {calls[0].place.line} of {calls[0].place.path} below {stores[0].place}.",
            )


def _is_in(facts: Facts, call: Call, function: str | None) -> bool:
    """Whether a call is inside of this function of its file, or of a function in there."""
    tree = parsed(facts.files[call.place.path])
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == function
        and node.lineno <= call.place.line <= (node.end_lineno or 0)
        for node in ast.walk(tree)
    )


def _calls(facts: Facts, name: str) -> list[Call]:
    """The calls of a method or function of this name."""
    found: list[Call] = []
    for path, text in facts.files.items():
        if not path.endswith(".py") or name not in text:
            continue
        found += _calls_in(facts, path, parsed(text), name)
    return found


def _calls_in(
    facts: Facts, path: str, tree: ast.AST, name: str, function: str | None = None, condition: Place | None = None
) -> Iterator[Call]:
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        depends = facts.place(path, node.lineno) if isinstance(node, ast.If) else None if is_function else condition
        if isinstance(node, ast.Call):
            called = node.func
            own = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            if own == name:
                first = node.args[0] if node.args else None
                text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
                receiver = ast.unparse(called.value) if isinstance(called, ast.Attribute) else ""
                is_known = not node.keywords and not any(isinstance(each, ast.Starred) for each in node.args)
                count = len(node.args) if is_known else None
                says = any(each.arg in ("authorize", None) for each in node.keywords)
                yield Call(facts.place(path, node.lineno), function, receiver, text, condition, count, says)
        yield from _calls_in(facts, path, node, name, inside, depends)


def _names_app(facts: Facts, mount: Call) -> bool:
    """Whether a mounted application is the SignalR application, not a folder of files."""
    return "StaticFiles" not in mount.place.source


def _lines(facts: Facts, pattern: str) -> list[Place]:
    """The lines of pages and scripts that match, comments left out."""
    return [each for each in facts.places(pattern, SCRIPTS) if not each.source.lstrip().startswith(("//", "*", "{#"))]


def _is_the_manuals(facts: Facts, text: str) -> bool:
    """Whether the manual's own code has this text, so that the other side is the one to mend."""
    return any(f'"{text}"' in snippet for snippet in facts.snippets.values())


def _defining(facts: Facts, line: str) -> str:
    """The pattern of the line that defines the function which the manual has this line in."""
    text = next(text for text in facts.snippets.values() if line in text)
    name = re.search(r"def (\w+)", text.partition(line)[0])
    return rf"\bdef {name[1]}\b" if name else re.escape(line)


def _snippet_line(facts: Facts, text: str) -> tuple[str, str] | None:
    """The line of a snippet that has this text and defines nothing, and the file that it belongs into."""
    for name, snippet in facts.snippets.items():
        for line in snippet.split("\n"):
            if text in line and not line.lstrip().startswith(("def ", "async def ", "#")) and name in facts.homes:
                return re.sub(r"\$\{\d:([^}]*)\}", r"\1", line.strip()), facts.homes[name]
    return None
