"""A measurement from its start to its end: the instances, what joins them, and the crews that send and hear."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from labkit import instances, services
from labkit.errors import LabError, UsageError
from labkit.instances import Instances
from labkit.lab import App, Exercise, Kind, Measurement
from labkit.measuring import Measured, Plan, summed
from labkit.measuring.crew import Crew
from labkit.places import cache_folder
from labkit.processes import Group, environment

RUNNING_UP = 0.7
"""For how many seconds is sent before anything is counted."""
PATIENCE = 30.0
"""How many seconds a crew has for an order, besides the time that this takes anyway."""
HEARING = 2.0
"""Within how many seconds the clients of all instances hear a word, if they are joined."""
WORDS = 4
"""How often one is said: an instance may join the others a little after it has taken its clients."""

Tell = Callable[[str], None]


def measure(
    exercise: Exercise, folder: Path, measurement: Measurement, plan: Plan, service: str, tell: Tell
) -> Iterator[Measured]:
    """Measure the app in `folder`, and yield each figure as soon as it is known.

    It has servers, databases and data of its own, which nobody else uses and which are thrown away. `tell` hears what
    goes on now.

    Raises:
        AppDidNotStart: the app did not start.
        LabError: an instance has ended, or hears nothing of the others.
        MachineError: the machine lacks something.
        InternalError: the lab's clients are at fault.
    """
    logs = cache_folder() / "logs" / f"{exercise.name}-measure"
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True)))
        if exercise.database is not None:
            tell(f"Starting {services.find(service).title}")
        server = stack.enter_context(_server(exercise, folder, data, service))
        for count in plan.instances:
            tell(f"Starting {count} instances" if count > 1 else "Starting the app")
            with (
                instances.running(
                    _app(exercise, measurement),
                    folder,
                    data=data / f"app-{count}",
                    secret="measured" * 4,
                    id="measured",
                    count=count,
                    database_server=server,
                    logs=logs,
                ) as running,
                Group() as group,
            ):
                yield from _with_instances(exercise, folder, measurement, plan, running, group, logs, tell)


def _with_instances(
    exercise: Exercise,
    folder: Path,
    measurement: Measurement,
    plan: Plan,
    running: Instances,
    group: Group,
    logs: Path,
    tell: Tell,
) -> Iterator[Measured]:
    """Measure every kind with the instances that run."""
    command = [word.replace("{python}", str(instances.interpreter(folder))) for word in measurement.clients]
    variables = environment(_path(exercise))
    crews = [Crew(group, command, folder, variables, logs / f"clients-{each.number}.log") for each in running.list]
    count = len(crews)

    def look() -> None:
        if (dead := running.poll()) is not None:
            last = "\n".join(f"    {line}" for line in running.tail(dead, lines=5).splitlines()) or "    (none)"
            raise LabError(
                f"Instance {dead.number} has ended while it was measured. Its last lines:\n{last}",
                f"Mend what they name, then repeat the command. The whole log: {dead.log}",
            )

    tell(f"Connecting {plan.clients * count} clients")
    for crew, instance in zip(crews, running.list, strict=True):
        crew.order("connect", number=instance.number, url=instance.url, clients=plan.clients)
    for crew in crews:
        crew.answer(PATIENCE, look)
    _hear_each_other(crews, look)
    for kind in measurement.kinds:
        tell(f"Measuring: {kind.title}, instances: {count}, clients: {plan.clients * count}")
        yield _measured(kind, crews, plan, look)


def _hear_each_other(crews: Sequence[Crew], look: Callable[[], None]) -> None:
    """Wait until what each crew says is heard by all: only then all instances are joined."""
    for sender in range(len(crews)):
        for again in range(WORDS):
            for number, crew in enumerate(crews):
                crew.order("hear", word=f"word {sender}.{again}", sends=number == sender, seconds=HEARING)
            heard = [crew.answer(HEARING + PATIENCE, look)["heard"] for crew in crews]
            if all(heard):
                break
        else:
            raise _deaf(sender + 1, heard.index(False) + 1)


def _deaf(speaker: int, hearer: int) -> LabError:
    if speaker == hearer:
        return LabError(
            f"The clients of instance {hearer} do not hear what one of them says.",
            "labkit verify   (tells what is not done yet)",
        )
    return LabError(
        f"The clients of instance {hearer} do not hear what is said at instance {speaker}: "
        "nothing joins the instances.",
        "labkit verify   (tells what is not done yet; with --instances 1 one instance is measured)",
    )


def _measured(kind: Kind, crews: Sequence[Crew], plan: Plan, look: Callable[[], None]) -> Measured:
    """Measure one kind: all crews begin, count and end at the same moments."""
    import psutil

    begins = time.perf_counter() + 0.2
    counts = begins + RUNNING_UP
    ends = counts + plan.seconds
    for each, crew in enumerate(crews):
        crew.order(
            "measure",
            kind=kind.name,
            rate=kind.rate,
            sender="client" if kind.by_clients else "app",
            first=each == 0,
            begins=begins,
            counts=counts,
            ends=ends,
        )
    while time.perf_counter() < counts:
        look()
        time.sleep(0.05)
    psutil.cpu_percent()
    while time.perf_counter() < ends:
        look()
        time.sleep(0.05)
    busy = psutil.cpu_percent() / 100
    answers = [crew.answer(PATIENCE, look) for crew in crews]
    delays = [delay for answer in answers for delay in answer["delays"]]
    return summed(kind, len(crews), plan, [answer["heard"] for answer in answers], delays, busy)


def _app(exercise: Exercise, measurement: Measurement) -> App:
    """The app as it is run to be measured."""
    return replace(
        exercise.app,
        command=measurement.command,
        environment={**exercise.app.environment, **_path(exercise)},
    )


def _path(exercise: Exercise) -> dict[str, str]:
    """The environment in which the lab's measuring modules can be imported."""
    return {"PYTHONPATH": str(exercise.measuring), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def _server(exercise: Exercise, folder: Path, data: Path, service: str) -> Iterator[str | None]:
    """What joins the instances, with the databases that the code names; None if the exercise needs nothing."""
    from labkit.services.postgres.keeper import temporary_server
    from labkit.verify.databases import is_name, named

    database = exercise.database
    if database is None:
        yield None
        return
    if service != "postgres":
        with services.find(service).running(data) as url:
            yield url
        return
    with temporary_server(durable=True) as server:
        name = named(exercise, database, folder)
        for each in sorted({*database.solution, *([name] if name and is_name(name) else [])}):
            server.create_database(each)
        yield server.url


def check(exercise: Exercise) -> Measurement:
    """The measurement of an exercise.

    Raises:
        UsageError: it has none.
    """
    if exercise.measurement is None:
        raise UsageError(f"{exercise.id} has nothing that could be measured.", "labkit list")
    return exercise.measurement
