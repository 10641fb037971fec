"""The checking process: pytest with the lab's checks, which reports each of them to the command that started it.

It runs where no file of the trainee's can reach it: an empty working folder, no path but labkit's own and the lab's.
What goes in and out is in `job`; the end of the input means that labkit has gone. The messages have pipes of their
own: what checks print goes elsewhere.
"""

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit import checking, sandbox
from labkit.checking import BUDGET, LAUNCH, RECORDER, STAGE, NotDone, Side, Stage
from labkit.recording import Recorder
from labkit.verify import browsing, hanging, judging, kept_browser
from labkit.verify.causes import Facts, Seen, differences, find
from labkit.verify.job import (
    Abandoned,
    Collected,
    Fault,
    Finished,
    Idle,
    Job,
    Message,
    Started,
    decode,
    encode,
    is_enough,
)
from labkit.verify.report import Check, Result, Verdict
from labkit.verify.seal import Sealer

_LONG = 0.1
"""Seconds from which on a look at the app's calls has asked an instance."""


class Channel:
    """Messages from and to the command; when it goes, this process ends."""

    def __init__(self, receiving: int, sending: int) -> None:
        self._sending = sending
        self._sealer: Sealer | None = None
        self._receiving = receiving
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def receive(self) -> Message:
        """Wait for the next message."""
        message = self._messages.get()
        if isinstance(message, Job) and self._sealer is None:
            self._sealer = Sealer(message.key)
        return message

    def send(self, message: Message) -> None:
        """Send one message, sealed."""
        line = self._sealer.seal(encode(message)) if self._sealer else encode(message)
        while line:
            line = line[os.write(self._sending, line) :]

    def _read(self) -> None:
        # Not a buffered file: a thread that waits in one spoils the end of the interpreter.
        buffer = b""
        while block := os.read(self._receiving, 65536):
            *lines, buffer = (buffer + block).split(b"\n")
            for line in lines:
                self._messages.put(decode(line))
        os._exit(1)  # the browser follows: its driver waits on a pipe from here


class Reporter:
    """The pytest plugin that selects the checks and reports what becomes of each."""

    def __init__(self, channel: Channel, job: Job) -> None:
        self._channel = channel
        self._job = job
        self._code = job.checks.parent.parent
        self._stage: Stage | None = None
        self._recorder = _recorder(job)
        self._checks: dict[str, Check] = {}
        self._result = Result(Verdict.PASSED)
        self._look_again = 0.0
        self._raised: dict[int, tuple[BaseException, Check]] = {}
        """What fixtures raised, by identity: pytest raises the same object again for each check that needs them."""

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declare the marks of checks and what their fixtures take."""
        config.addinivalue_line("markers", "task(number): the task that the check belongs to")
        config.addinivalue_line("markers", "snippets(name, …): the snippets without which the check cannot pass")
        config.addinivalue_line("markers", "instead(title): the title where a {service} stands in for PostgreSQL")
        config.addinivalue_line("markers", "budget(seconds): how long the whole check may take")
        config.stash[STAGE] = self._wait_for_stage
        config.stash[LAUNCH] = self._job.launch
        config.stash[RECORDER] = self._recorder
        checking.hopeless = self._hopeless

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]) -> None:
        """A file of checks that cannot be read is the lab's fault."""
        if isinstance(node, pytest.Collector) and call.excinfo is not None:
            error = call.excinfo.value
            if isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
                error = error.__cause__  # pytest's own error has the traceback as text
            place = self._place(error) or node.name
            self._channel.send(Fault(f"{node.name} cannot be read: {judging.fault(error).cause} ({place})"))

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the checks of the job, in the order of their tasks."""
        if self._job.waits:
            self._wait_for_job(config)
        for item in items:
            check = _check(item, self._job.exercise, self._job.service)
            if check.task not in self._job.known_tasks:
                self._channel.send(Fault(_no_task(item, self._job.known_tasks)))
            self._checks[item.nodeid] = check
        self._refuse_equal_ids(items)
        chosen = [
            item
            for item in items
            if self._check(item).task in self._job.tasks and self._check(item).id not in self._job.done
        ]
        items[:] = sorted(chosen, key=lambda item: self._job.tasks.index(self._check(item).task))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell which checks there are, so that each can be accounted for."""
        self._channel.send(Collected(tuple(self._check(item) for item in session.items)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Tell that a check begins, and what it found."""
        check = self._check(item)
        self._result = Result(Verdict.PASSED)
        self._recorder.makers[:] = [check.file_name]
        self._channel.send(Started(check.id))
        outcome = yield
        if self._result.verdict is Verdict.PASSED:
            self._result = replace(self._result, seen=_text(dict(item.user_properties).get("seen")))
        self._channel.send(Finished(check.id, self._result))
        if is_enough(self._job.enough, check, self._result):
            item.session.shouldstop = "That is enough."
        return outcome

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Note who makes browser contexts."""
        if fixturedef.scope == "function":
            return (yield)
        self._recorder.makers.append(fixturedef.argname)
        try:
            return (yield)
        finally:
            self._recorder.makers.pop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge the first thing that went wrong, while its pages are still open."""
        report = yield
        if call.excinfo is not None and self._result.verdict is Verdict.PASSED:
            self._result = self._judge(item, call.excinfo, call.when)
        return report

    def _refuse_equal_ids(self, items: list[pytest.Item]) -> None:
        """Results are told apart by the checks' ids: of two checks with one id, the second would never count."""
        first: dict[str, pytest.Item] = {}
        for item in items:
            id_ = self._check(item).id
            if first.setdefault(id_, item) is not item:
                self._channel.send(Fault(f"{_place(first[id_])} and {_place(item)} have the same id, {id_}."))

    def _judge(self, item: pytest.Item, info: pytest.ExceptionInfo[BaseException], when: str) -> Result:
        check, error = self._check(item), info.value
        if id(error) in self._raised:
            return Result(Verdict.SKIPPED, cause=f"needs the same as “{self._raised[id(error)][1].title}”")
        if when == "setup":
            self._raised[id(error)] = (error, check)
        result = judging.verdict(error) if when != "teardown" else judging.fault(error)
        if result.verdict is Verdict.SKIPPED:
            return result
        makers = {check.file_name, *getattr(item, "fixturenames", ())}
        if endless := next((each.endless for each in self._recorder.seen(makers) if each.endless), None):
            result = judging.endless(endless)
        evidence = self._recorder.keep(makers) if when != "teardown" else []
        # What a policy of the machine does to pages looks like a fault of theirs, or of the checks.
        blames = result.verdict in (Verdict.NOT_DONE, Verdict.CHECKER) and when != "teardown"
        if blames and self._recorder.seen(makers) and (found := kept_browser.forbidden()):
            result = judging.forbidden(found)
        if result.verdict is Verdict.CHECKER:
            result = replace(result, cause=f"{result.cause} ({self._place(error) or _place(item)})")
            evidence.append(self._write_traceback(check, error))
        result = replace(result, evidence=tuple(evidence))
        if result.verdict is not Verdict.NOT_DONE:
            return result
        if self._stage is None:
            return result
        check, side = self._check(item), error.side if isinstance(error, NotDone) else None
        facts = self._facts(self._stage, self._recorder.seen(makers), side)
        if isinstance(error, NotDone) and error.is_sure:
            return replace(result, next=result.next or self._job.compare, cause=_with_lines(facts, check, result))
        return self._explain(item, result, facts)

    def _facts(self, stage: Stage, seen: list[Seen], side: Side | None) -> Facts:
        return Facts(
            app=stage.app,
            begin=self._job.begin,
            snippets=self._job.snippets,
            todo=stage.todo,
            misplaced=stage.misplaced,
            logs=[each.lines() for each in stage.instances],
            hanging=partial(hanging.find, stage, seen),
            seen=seen,
            ask=partial(browsing.ask, self._recorder.pages),
            parse=partial(browsing.parse, self._recorder.pages),
            side=side,
        )

    def _explain(self, item: pytest.Item, result: Result, facts: Facts) -> Result:
        """Say the likeliest cause that can be found, else the check's own."""
        check, advice = self._check(item), result.next or self._job.compare
        try:
            found = find(facts, check, lambda: item.ihook.pytest_labkit_cause(facts=facts, check=check))
        except Exception:  # noqa: BLE001  (the verdict does not depend on it)
            traceback.print_exc()
            found = None
        if found is None:
            return replace(result, next=advice, cause=_with_lines(facts, check, result))
        place = str(found.place) if found.place else None
        return replace(
            result,
            cause=found.cause,
            where=result.where or place,
            snippet=found.snippet,
            next=found.next or advice,
        )

    def _place(self, error: BaseException) -> str | None:
        """The line of the lab's own code that an error comes from, whoever raised it."""
        if isinstance(error, pytest.FixtureLookupError):
            asking = error.formatrepr()
            return f"{Path(asking.filename).name}:{asking.firstlineno + 1}"
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            places.append((error.filename, error.lineno))
        own = [(Path(path), line) for path, line in places if Path(path).is_relative_to(self._code)]
        return f"{own[-1][0].name}:{own[-1][1]}" if own else None

    def _write_traceback(self, check: Check, error: BaseException) -> str:
        path = self._job.evidence / f"{check.file_name.replace('/', '-')}.traceback.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return str(path)

    def _hopeless(self) -> NotDone | None:
        """Why nothing more can come: an instance has ended, or hangs."""
        if self._stage is None:
            return None
        for each in self._stage.instances:
            if each.pid and not _runs(each.pid):
                return NotDone("the app runs", f"instance {each.number} has ended", where=each.url)
        now = time.monotonic()
        if now < self._look_again:
            return None
        found = hanging.find(self._stage, self._recorder.all_seen, hanging.HOPELESS)
        if found is None:
            # The answer may well come: of long polling, for example. Asking takes time in which no page is heard.
            self._look_again = time.monotonic() + hanging.PAUSE if time.monotonic() - now > _LONG else 0.0
            return None
        return NotDone("an answer of the app", "none", str(found.place), found.cause, found.next, is_sure=True)

    def _wait_for_job(self, config: pytest.Config) -> None:
        received = self._channel.receive()
        if not isinstance(received, Job):
            raise TypeError(f"a job was expected, not {received}")
        self._job = received
        self._recorder = config.stash[RECORDER] = _recorder(received)

    def _wait_for_stage(self) -> Stage:
        if self._stage is None:
            received = self._channel.receive()
            if isinstance(received, Abandoned):
                pytest.exit("There is no app to check.")
            if not isinstance(received, Stage):
                raise TypeError(f"a stage was expected, not {received}")
            self._stage = received
        return self._stage

    def _check(self, item: pytest.Item) -> Check:
        return self._checks[item.nodeid]


def _recorder(job: Job) -> Recorder:
    return Recorder(job.evidence, job.pictures, job.everything, job.nothing, job.snapshots)


def _check(item: pytest.Item, exercise: str, service: str) -> Check:
    mark = item.get_closest_marker("task")
    budget = item.get_closest_marker("budget")
    function = getattr(item, "function", None)
    name = getattr(item, "originalname", item.name).removeprefix("test_").replace("_", "-")
    title = (function.__doc__ or name.replace("-", " ")).strip().split("\n")[0]
    instead = item.get_closest_marker("instead")
    if service and instead:
        title = str(instead.args[0]).format(service=service)
    task = f"{exercise}.{mark.args[0]}" if mark and mark.args else ""
    parameters = _parameters(item)
    return Check(
        id=f"{task}/{name}{parameters and f'[{parameters}]'}",
        title=f"{title}{parameters and f' [{parameters}]'}",
        task=task,
        budget=float(budget.args[0]) if budget else BUDGET,
        snippets=tuple(name for each in item.iter_markers("snippets") for name in each.args),
    )


def _with_lines(facts: Facts, check: Check, result: Result) -> str | None:
    """The check's own cause with lines of the app, unless it has named a file or the next step itself."""
    said = f"{result.cause} {result.where}"
    if result.next or any(path in said for path in facts.files):
        return result.cause
    return differences.told(facts, check, result.cause or "") or None


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent to look."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _place(item: pytest.Item) -> str:
    path, line, _ = item.location
    return f"{path}:{(line or 0) + 1}"


def _no_task(item: pytest.Item, tasks: Sequence[str]) -> str:
    mark = item.get_closest_marker("task")
    marked = f"marked with task({', '.join(map(repr, mark.args))})" if mark else "not marked with a task"
    last = tasks[-1].rpartition(".")[2] if tasks else "0"
    return f"{_place(item)}: {item.name.partition('[')[0]} is {marked}; the chapter has tasks 1 to {last}."


def _parameters(item: pytest.Item) -> str:
    """The id that pytest gives the check's parameters, without the browser's name that pytest-playwright adds."""
    call = getattr(item, "callspec", None)
    if call is None:
        return ""
    browser = call.params.get("browser_name", "")
    return str(call.id).removeprefix(browser).removeprefix("-") if browser else str(call.id)


def main() -> None:
    """Run the job that standard input brings; if the process stays, one after the other."""
    sandbox.hide()
    receiving, sending = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    channel = Channel(receiving, sending)
    while _run(channel).stays:
        channel.send(Idle())
        kept_browser.tidy()
    kept_browser.close()


def _run(channel: Channel) -> Job:
    """Run the next job, and return it."""
    job = channel.receive()
    if not isinstance(job, Job):
        raise TypeError(f"a job was expected, not {job}")
    # The last places on the path: what the lab's checks share is found, and shadows nothing.
    sys.path += [path for path in (str(job.checks), str(job.checks.parent.parent)) if path not in sys.path]
    settings = job.temporary / "pytest.ini"
    settings.write_text("[pytest]\n", encoding="utf-8")
    # `--tb=line`: what nobody reads need not be quoted, and CPython 3.11 may fail to parse the lines around it.
    options = ["-c", str(settings), "--rootdir", str(job.checks), "--confcutdir", str(job.checks)]
    options += [
        "--import-mode=importlib",
        "--strict-markers",
        "--capture=no",
        "--tb=line",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    options += ["-p", "pytest_playwright.pytest_playwright", "-p", checking.__name__, "-p", kept_browser.__name__]
    options += ["--output", str(job.temporary / "playwright")]
    pytest.main([*options, str(job.checks)], plugins=[Reporter(channel, job)])
    return job


if __name__ == "__main__":
    main()
