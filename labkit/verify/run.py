"""One run of the checks: everything that they need starts at the same time, and every check is accounted for."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import diagnosis, sandbox, services, snippets, stacks
from labkit.chapter import Task
from labkit.diagnosis import AppDidNotStart, Place
from labkit.errors import InternalError, LabError, MachineError
from labkit.files import Within
from labkit.instances import MOST_LOG
from labkit.verify import databases, running_copy
from labkit.verify.causes import Facts, missing_code, of_start
from labkit.verify.job import Collected, Fault, Finished, Idle, Job, Started, is_enough
from labkit.verify.process import CheckingProcess
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.verify.running_copy import RunningCopy
from labkit.verify.seal import Originals
from labkit.verify.stage import RunningInstance, Stage, StandIn
from labkit.verify.subject import Subject, evidence_folder

if TYPE_CHECKING:
    from labkit.instances import Instances
    from labkit.services.postgres.server import Server
    from labkit.verify.warm import Warm

START = 60.0
"""How many seconds the checking process and the browser have to be up."""

SILENCE = 30.0
"""How many seconds the checking process may take between two checks."""

MOST_TIMED_OUT = 2
"""After how many checks that ran out of time the others are skipped."""


_OF_PYTEST = "INTERNALERROR> "


class Progress:
    """What a run tells while it goes on; does nothing unless overridden."""

    def working(self, what: str) -> None:
        """Something is being started."""

    def collected(self, checks: Sequence[Check]) -> None:
        """These checks will run."""

    def started(self, check: Check) -> None:
        """A check begins."""

    def finished(self, check: Check, result: Result) -> None:
        """A check has ended, or was skipped."""


def verify(
    subject: Subject,
    tasks: Sequence[Task] = (),
    headed: bool = False,
    progress: Progress | None = None,
    pictures: Path | None = None,
    everything: bool = False,
    nothing: bool = False,
    warm: "Warm | None" = None,
    balanced: bool = False,
    enough: tuple[str, ...] | None = None,
) -> Report:
    """Run the checks of these tasks (of all, if none is named) on a copy of the subject.

    With `pictures`, a screenshot of every page as it was in the end is put into that folder. With `everything`,
    evidence is kept of what passed, too; with `nothing`, of nothing, for whoever asks for the verdicts only. With
    `warm`, browser and database server are those that an earlier run has left there. If it is `balanced`, the instances
    are behind a load balancer, which has an address for each of them. With `enough`, the checks end with the first of
    those that fails, or, if none is named, with the first one that fails.

    Raises MachineError if the machine is at fault, InternalError if the checks cannot be read.
    """
    began = time.monotonic()
    chosen = list(tasks or subject.exercise.tasks)
    with ExitStack() as stack:
        standby = warm.standby(subject) if warm else None
        if standby:
            temporary = stack.enter_context(standby).temporary
        else:
            folder = tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True)
            temporary = Path(stack.enter_context(folder))
        copy = standby.copy if standby else None
        run = _Run(
            subject,
            chosen,
            headed,
            progress or Progress(),
            temporary,
            pictures,
            everything,
            nothing,
            warm,
            copy,
            balanced,
            enough,
        )
        results = run.results()
    return Report(
        exercise=subject.exercise.id,
        solution=subject.kind,
        duration=time.monotonic() - began,
        tasks=tuple(
            TaskReport(
                task.id,
                task.title,
                tuple((check, results[check.id]) for check in run.checks if check.task == task.id),
            )
            for task in chosen
        ),
        evidence=run.evidence,
    )


class _Run:
    """The state of one run."""

    def __init__(
        self,
        subject: Subject,
        tasks: Sequence[Task],
        headed: bool,
        progress: Progress,
        temporary: Path,
        pictures: Path | None,
        everything: bool,
        nothing: bool,
        warm: "Warm | None",
        copy: RunningCopy | None,
        balanced: bool,
        enough: tuple[str, ...] | None,
    ) -> None:
        self.checks: list[Check] = []
        self._subject = subject
        self._tasks = tasks
        self._headed = headed
        self._progress = progress
        self._temporary = temporary
        self._pictures = pictures
        self._everything = everything
        self._nothing = nothing
        self._warm = warm
        self._standing = copy
        self._balanced = balanced
        self._enough = enough
        self._evidence = evidence_folder(subject, datetime.now())
        self._app = running_copy.place(subject, temporary)
        self._logs = temporary / "logs"
        self._results: dict[str, Result] = {}
        self._processes = 0
        self._todo, self._misplaced = missing_code(subject.exercise, subject.folder)
        database = subject.exercise.database
        self._service_name = services.declared(database, subject.folder) if database else "postgres"
        self._service = services.find(self._service_name) if self._service_name != "postgres" else None

    def results(self) -> dict[str, Result]:
        """Run the checks; the result of each by its id."""
        from labkit import browser

        checks = self._subject.exercise.checks
        if not checks.is_dir():
            raise InternalError(
                f"{checks} is missing: without checks nothing can be verified.",
                f"Its author makes the folder, with a test_….py that has a check for each task. {self._subject.advice}",
            )
        say = self._progress.working
        launch = browser.find(install=True, say=say, headless=not self._headed).launch_options(not self._headed)
        originals = None if sandbox.keeps_files() else Originals(self._subject.exercise.checks)
        with self._process(launch) as process:
            blocked, instances, stage = None, None, None
            with ExitStack() as stack:
                app = self._app
                try:
                    if self._standing is None:
                        running_copy.copy(self._subject, app)
                    blocked = self._find_placeholder(app)
                    if blocked is None:
                        instances, stage = self._start(app, stack)
                except LabError as error:
                    blocked = self._blocked(error, app)
                if self._warm:
                    self._warm.started = blocked is None
                self._collect(process)
                if blocked:
                    self._block(blocked)
                    process.abandon()
                elif instances and stage:
                    self._run_checks(process, launch, instances, stage)
        if originals:
            originals.check()
        return self._with_evidence()

    @property
    def evidence(self) -> Path | None:
        """The folder of what was kept."""
        return self._evidence if self._evidence.is_dir() else None

    @property
    def _all_well(self) -> bool:
        return all(result.verdict is Verdict.PASSED for result in self._results.values())

    def _process(self, launch: dict[str, Any]) -> CheckingProcess:
        self._processes += 1
        temporary = self._temporary / f"checking-{self._processes}"
        temporary.mkdir()
        exercise = self._subject.exercise
        job = Job(
            exercise=exercise.id,
            checks=exercise.checks,
            begin=exercise.begin,
            tasks=tuple(task.id for task in self._tasks),
            known_tasks=tuple(task.id for task in exercise.tasks),
            done=tuple(self._results),
            launch=launch,
            evidence=self._evidence,
            temporary=temporary,
            pictures=self._pictures,
            everything=self._everything,
            nothing=self._nothing,
            snapshots=self._subject.watch is None,  # who grades a class opens no traces: its report shows the steps
            enough=self._enough,
            snippets={name: snippet.text for name, snippet in exercise.snippets.items()},
            workspace=self._subject.workspace is not None,
            service=self._service.title if self._service else "",
        )
        return self._warm.process(job) if self._warm else CheckingProcess(job)

    def _find_placeholder(self, app: Path) -> Result | None:
        """The result that a placeholder gives which was typed by hand and not filled in."""
        for path, line, text in snippets.unfilled(app):
            return Result(
                Verdict.NOT_DONE,
                expected="a value of your own in place of the placeholder",
                seen=text,
                where=f"{path}:{line}",
                cause=f"{path}:{line} still has the placeholder {text}",
                next=f"Replace {text} in {path}, line {line}, then verify again.",
            )
        return None

    def _start(self, app: Path, stack: ExitStack) -> "tuple[Instances, Stage]":
        """Start the app, unless it stands by already, with a server and databases for this run alone."""
        self._logs = running_copy.logs(app)
        exercise, copy, known, url = self._subject.exercise, self._standing, None, None
        server = copy.server if copy else None
        if exercise.database and self._service:
            if copy is None or copy.url is None:
                self._progress.working(f"Starting {self._service.title}")
                url = stack.enter_context(self._service.running(running_copy.data_folder(app)))
            else:
                url = copy.url
            requirement = exercise.database.instead[self._service_name]
            known = databases.stand_in(self._subject, app, StandIn(self._service.title, requirement, url))
        elif exercise.database:
            if server is None:
                self._progress.working("Starting PostgreSQL")
                server = self._own_server(stack)
            known = databases.provide(self._subject, app, server)
        if copy is None:
            count = exercise.app.instances
            self._progress.working("Starting the app" if count == 1 else f"Starting {count} instances of the app")
            copy = stack.enter_context(running_copy.run(self._subject, app, server, url))
        running = self._behind_a_balancer(copy, stack) if self._balanced else copy.running
        return copy.instances, Stage(app, running, known, self._todo, self._misplaced, copy.data)

    def _behind_a_balancer(self, copy: RunningCopy, stack: ExitStack) -> tuple[RunningInstance, ...]:
        """The instances at the addresses that a balancer has for them."""
        from labkit import balancer

        self._progress.working("Starting the load balancer")
        ports = [each.port for each in copy.instances.list]
        front = stack.enter_context(balancer.running(ports, self._temporary / "balancer", entrances=True))
        return tuple(replace(each, url=url) for each, url in zip(copy.running, front.entrances, strict=True))

    def _own_server(self, stack: ExitStack) -> "Server":
        from labkit.services.postgres.keeper import temporary_server

        return self._warm.server() if self._warm else stack.enter_context(temporary_server())

    def _blocked(self, error: LabError, app: Path) -> Result:
        """The result that an app gives which does not start; other errors are raised on."""
        if not isinstance(error, AppDidNotStart):
            raise error
        facts = Facts(
            app=app,
            begin=self._subject.exercise.begin,
            snippets={name: each.text for name, each in self._subject.exercise.snippets.items()},
            todo=self._todo,
        )
        found = of_start(facts, error)
        return Result(
            Verdict.NOT_DONE,
            expected="the app starts",
            seen=error.reason,
            where=str(found.place) if found.place else error.where,
            cause=found.cause,
            next=found.next,
            snippet=found.snippet,
        )

    def _block(self, result: Result) -> None:
        """Nothing can be checked: the first check says why, the others are skipped."""
        first, *others = self.checks
        self._finish(first, result)
        for check in others:
            self._finish(check, Result(Verdict.SKIPPED, cause="the app does not start"))

    def _collect(self, process: CheckingProcess) -> None:
        """Learn which checks there are."""
        try:
            event = process.receive(START)
        except TimeoutError:
            raise MachineError(
                f"The checks were not read within {START:.0f} s: is the machine very busy?", "Repeat the command."
            ) from None
        if not isinstance(event, Collected):
            said = event.said if isinstance(event, Fault) else "\n".join(_tail(process.log, 5))
            raise InternalError(
                f"The checks of {self._subject.exercise.id} cannot be run: {said}", self._subject.advice
            )
        self.checks = list(event.checks)
        if not self.checks:
            raise InternalError("These tasks have no checks.", self._subject.advice)
        self._progress.collected(self.checks)

    def _run_checks(
        self, process: CheckingProcess, launch: dict[str, Any], instances: "Instances", stage: Stage
    ) -> None:
        """Run the checks, in another process again if one does not come to its end."""
        process.send(stage)
        done = self._follow(process, instances, stage)
        if done:
            process.release()
        else:
            process.stop()
        left = len(self._pending) + 1
        while not done and self._pending and len(self._pending) < left:
            left = len(self._pending)
            with self._process(launch) as another:
                another.send(stage)
                done = self._follow(another, instances, stage)
        for check in self._pending:
            self._finish(check, Result(Verdict.CHECKER, cause="the check never ran"))

    def _follow(self, process: CheckingProcess, instances: "Instances", stage: Stage) -> bool:
        """Take in what one process reports; false if it has to be replaced before all checks have run."""
        running: Check | None = None
        budget = START
        while self._pending:
            try:
                event = process.receive(budget)
            except TimeoutError:
                if running:
                    self._give_up_on(running, stage)
                return False
            if event is None or isinstance(event, Idle):  # with an error of its own, one that stays is idle
                if running:
                    self._finish(running, _ended(process))
                return False
            if isinstance(event, Started):
                running = self._check(event.check)
                budget = running.budget
                self._progress.started(running)
            elif isinstance(event, Finished):
                check, running, budget = self._check(event.check), None, SILENCE
                self._finish(check, _blame(event.result, instances))
                if is_enough(self._enough, check, event.result):
                    self._skip_the_rest("what failed was enough")
                if event.result.verdict is Verdict.NOT_DONE and (dead := instances.poll()):
                    self._skip_the_rest(f"instance {dead.number} of the app has ended")
        if self._pictures or self._everything or not (self._all_well or self._nothing):
            process.finish(SILENCE)  # it writes the traces and the pictures
        return True

    def _give_up_on(self, check: Check, stage: Stage) -> None:
        """Time out a check; if the app hangs, or it is not the first one, the others would only wait as long."""
        place = next((found for each in stage.instances if (found := stacks.hanging(each.log, stage.app))), None)
        self._finish(check, _timed_out(check, diagnosis.place(stage.app, place.path, place.line) if place else None))
        timed_out = sum(result.verdict is Verdict.TIMED_OUT for result in self._results.values())
        if place or timed_out >= MOST_TIMED_OUT:
            self._skip_the_rest(
                f"the app hangs in {place.path}:{place.line}" if place else "other checks ran out of time"
            )

    def _skip_the_rest(self, reason: str) -> None:
        for check in self._pending:
            self._finish(check, Result(Verdict.SKIPPED, cause=reason))

    @property
    def _pending(self) -> list[Check]:
        return [check for check in self.checks if check.id not in self._results]

    def _check(self, id_: str) -> Check:
        return next(check for check in self.checks if check.id == id_)

    def _finish(self, check: Check, result: Result) -> None:
        if result.verdict is Verdict.CHECKER:
            result = replace(result, next=self._subject.advice)
        result = self._in_the_trainees_words(result)
        self._results[check.id] = result
        self._progress.finished(check, result)

    def _in_the_trainees_words(self, result: Result) -> Result:
        """The result without the run's temporary folders: paths are the workspace's, logs those of the evidence."""
        names = {
            f"{self._logs}{os.sep}": f"{self._evidence}{os.sep}",
            f"{self._app}{os.sep}": "",
            str(self._app): self._subject.folder.name,
        }

        def plain(text: str | None) -> str | None:
            for name, word in names.items():
                text = text.replace(name, word) if text else text
            return text

        return replace(
            result,
            expected=plain(result.expected),
            seen=plain(result.seen),
            where=plain(result.where),
            cause=plain(result.cause),
            next=plain(result.next),
        )

    def _with_evidence(self) -> dict[str, Result]:
        """The results, with the evidence that there is; the instances' logs are kept beside it."""
        if self._nothing or (self._all_well and not self._everything):
            return self._results
        kept = []
        for name, content in self._app_logs():
            self._evidence.mkdir(parents=True, exist_ok=True)
            (self._evidence / name).write_bytes(content)
            kept.append(str(self._evidence / name))
        return {
            id_: replace(result, evidence=(*(path for path in result.evidence if Path(path).is_file()), *kept))
            if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED)
            else result
            for id_, result in self._results.items()
        }

    def _app_logs(self) -> Iterable[tuple[str, bytes]]:
        """The instances' logs; what the app has put in their place, such as a link, is left out."""
        within, folder = Within(self._app), ".labkit/data/logs"
        with contextlib.suppress(LabError, OSError):
            for name in within.names(folder) if self._app.is_dir() else ():
                with contextlib.suppress(LabError, OSError):
                    content = within.read(f"{folder}/{name}", most=MOST_LOG)
                    if content is not None:
                        yield name, content


def _blame(result: Result, instances: "Instances") -> Result:
    """An instance that has ended explains what its checks saw."""
    if result.verdict is not Verdict.NOT_DONE:
        return result
    dead = instances.poll()
    if dead is None:
        return result
    return replace(result, cause=f"instance {dead.number} of the app has ended; {result.cause or 'see its log'}")


def _timed_out(check: Check, place: Place | None) -> Result:
    if place is None:
        cause, advice = "the app, or the check, waits for something that does not come", "Look at the evidence."
    else:
        cause = f"the app hangs in {place}{place.quoted}"
        advice = f"Look at {place}: what does it wait for? Mend it, save the file and verify again."
    return Result(
        Verdict.TIMED_OUT,
        expected=f"the check ends within {check.budget:g} s",
        seen="it was still running",
        where=str(place) if place else None,
        cause=cause,
        next=advice,
    )


def _ended(process: CheckingProcess) -> Result:
    return Result(
        Verdict.CHECKER,
        cause=f"the checking process ended during the check: {_last_words(process.log) or 'without a word'}",
    )


def _last_words(log: Path) -> str:
    """What a process has said last; if pytest has said that it is at fault itself, the error."""
    lines = _tail(log, 1000)
    errors = [line for line in lines if line.startswith(_OF_PYTEST) and not line[len(_OF_PYTEST) :].startswith("  ")]
    return errors[-1].removeprefix(_OF_PYTEST) if errors else " ".join(lines[-3:])


def _tail(path: Path, lines: int) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [line for line in text.splitlines() if line.strip()][-lines:]
