"""The likely cause of what a failed check saw, with file and line: `find` looks wherever something may have gone wrong.

What understands a lab's own subject is the lab's: a plugin of its checks with the hook `pytest_labkit_cause`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from labkit import recognition, snippets
from labkit.diagnosis import AppDidNotStart, Place, Raised, missing_file, never_awaited, unhandled
from labkit.lab import Exercise
from labkit.recognition import Likeness
from labkit.verify.causes import files, pages, python, templates
from labkit.verify.causes.finding import Facts, Finding, Seen
from labkit.verify.report import Check

__all__ = ["Facts", "Finding", "Seen", "find", "is_about_pages", "missing_code", "of_start", "saying_why"]


def find(facts: Facts, check: Check, lab: Callable[[], Finding | None] = lambda: None) -> Finding | None:
    """The likeliest cause of a check's failure; None if nothing but the check itself can tell.

    `lab` asks the lab's own plugins.
    """
    searches: list[Callable[[], Iterator[Finding]]] = [
        lambda: files.misencoded(facts.app, facts.begin),
        lambda: pages.endless_dialogs(facts),
        lambda: filter(None, [facts.hanging()]),
        lambda: files.homes(facts, check),
        lambda: _missing_code(facts, check),
        lambda: _lost_files(facts),
        lambda: _exceptions(facts),
        lambda: _misplaced_code(facts, check),
        lambda: templates.lost_blocks(facts),
        lambda: filter(None, [lab()]),
        lambda: pages.explain(facts) if is_about_pages(facts, check) else iter(()),
        lambda: python.unreachable(facts),
    ]
    return next((finding for search in searches for finding in search()), None)


def missing_code(exercise: Exercise, folder: Path) -> tuple[dict[str, str], dict[str, Finding]]:
    """Which snippets' code a folder has not, TODO lines by name to `path:line`; and which it has, but not as it should.

    A TODO line that stays although its code is there is in neither.
    """
    todo, misplaced = {}, {}
    for name, sight in recognition.look(exercise, folder).items():
        at = f"{sight.todo.path}:{sight.todo.line}" if sight.todo else None
        place = Place(sight.path, sight.line, "") if sight.path else None
        if sight.likeness is Likeness.ABSENT and at:
            todo[name] = at
        elif sight.likeness is Likeness.MISPLACED:
            to = f" to {at}, where its TODO line is" if at else ""
            advice = f"Move the code in {sight.place}{to}, then verify again."
            misplaced[name] = Finding(f"the code of {name} is {sight.fault}: {sight.place}", place, advice)
        elif sight.likeness is Likeness.PARTLY:
            advice = f"labkit snippet show {name}   (compare it with yours)"
            misplaced[name] = Finding(f"the code of {name} is there only in part: {sight.place}", place, advice)
    return todo, misplaced


@contextmanager
def saying_why(exercise: Exercise, folder: Path) -> Iterator[None]:
    """Say of a trainee's app that does not start what its files tell of the cause."""
    try:
        yield
    except AppDidNotStart as error:
        texts = {name: each.text for name, each in exercise.snippets.items()}
        todo, _ = missing_code(exercise, folder)
        found = of_start(Facts(folder, exercise.begin, texts, todo), error)
        error.message, error.next = found.cause, found.next
        raise


def of_start(facts: Facts, error: AppDidNotStart) -> Finding:
    """Why an app does not start: what `labkit.diagnosis` says, with what is known of the app's files beside it."""
    for finding in files.misencoded(facts.app, facts.begin):
        return finding
    path, _, line = (error.where or "").rpartition(":")
    place = facts.place(path, int(line)) if path else None
    if error.file:
        return _absent_program(facts, error, error.file)
    lost = missing_file(error.message, facts.app, facts.begin)
    if lost:
        finding = files.missing(lost)
        return Finding(f"{error.message}\n{finding.cause}.", place, finding.next)
    if error.raised and error.reason in ("exception", "import error"):
        found = python.explain(facts, error.raised)
        if found:
            return replace(found, cause=f"{error.message.split(': ')[0]}: {found.cause}")
    # Click, by which uvicorn is started, says no more than this of an input() that finds nobody to answer.
    if error.reason == "exited" and error.log_tail.rstrip().endswith("Aborted!"):
        for asking in facts.places(r"^[^#]*(?<![\w.])input\(", (".py",)):
            what = "this asks a question while the app starts, and nobody is there to answer it"
            return Finding.at(asking, what, f"Delete {asking}, save the file and repeat the command.")
    return Finding(error.message, place, error.next)


def _absent_program(facts: Facts, error: AppDidNotStart, file: str) -> Finding:
    """The file that the app's command names: lost by the trainee, or by the lab, whose exercise.toml has the line."""
    if (facts.begin / file).is_file():
        found = files.missing(file)
        return replace(found, cause=f"{error.message}\n{found.cause}.")
    description = facts.begin.parent / "exercise.toml"
    text = snippets.text_of(description) or ""
    line = next((n for n, each in enumerate(text.split("\n"), start=1) if Path(file).name in each), 1)
    place = Place("exercise.toml", line, text.split("\n")[line - 1].rstrip())
    return Finding(
        f"{error.message} The lab is at fault: {description}:{line} names it, and begin/ has it not.{place.quoted}",
        None,
        f"Its author corrects `command` in {description}, line {line}, or adds begin/{file}.",
    )


def is_about_pages(facts: Facts, check: Check) -> bool:
    """Whether a failed script of a page can be why: not if all that the check needs is on the server's side."""
    if facts.side:
        return facts.side == "page"
    homes = [path for name in check.snippets if (path := facts.homes.get(name))]
    return not homes or any(not path.endswith((".py", ".toml")) for path in homes)


def _missing_code(facts: Facts, check: Check) -> Iterator[Finding]:
    """The snippets without which the check cannot pass, and whose code is not there."""
    for name in check.snippets:
        if name in facts.todo:
            at = facts.todo[name]
            what = f"the TODO line {name} is still at {at} (if you have typed the code: is the file saved?)"
            yield Finding(what, None, f"labkit snippet insert {name}", name)


def _misplaced_code(facts: Facts, check: Check) -> Iterator[Finding]:
    for name in check.snippets:
        if name in facts.misplaced:
            yield facts.misplaced[name]


def _lost_files(facts: Facts) -> Iterator[Finding]:
    hints = [answer.path for answer in facts.answers]
    hints += [str(raised) for log in facts.logs for raised in unhandled(log, facts.app)]
    return files.lost(facts, hints)


def _exceptions(facts: Facts) -> Iterator[Finding]:
    """What the app raised and nothing handled, and calls without `await`."""
    for log in facts.logs:
        for raised in reversed(unhandled(log, facts.app)):
            found = python.explain(facts, raised) or _plain(raised)
            tells_place = found.place and found.cause.startswith(f"{found.place}: ")
            yield found if tells_place else replace(found, cause=f"the app raised {found.cause}")
    for log in facts.logs:
        forgotten = never_awaited(log, facts.app)
        if forgotten and forgotten.place:
            place = forgotten.place
            advice = f"Write `await` before the call in {place}, then verify again."
            yield Finding.at(place, forgotten.text, advice)
        elif forgotten:
            yield Finding(forgotten.text, None, "Write `await` before the call, then verify again.")


def _plain(raised: Raised) -> Finding:
    if raised.place is None:
        return Finding(str(raised))
    advice = f"Mend {raised.place}, save the file and verify again."
    said = str(raised).rstrip(".")
    return Finding(f"{said} at {raised.place}{raised.place.quoted}", raised.place, advice)
