"""Grades submissions on the machines of a dask.distributed cluster: a task for each, the results as they stand.

The workers have labkit, in the same version; lab and work come with the task. A worker that dies costs nothing: the
scheduler gives its task to another one, and whichever ends first is the grade.
"""

import contextlib
import hashlib
import io
import tempfile
import time
import zipfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import __version__, tree
from labkit.errors import MachineError, UsageError
from labkit.grading import archives, crew
from labkit.grading.archives import Unreadable
from labkit.grading.crew import News, Order
from labkit.grading.grades import Grade, Outcome
from labkit.grading.limits import Limits
from labkit.grading.results import Results
from labkit.lab import Lab, find_lab
from labkit.places import cache_folder

PATIENCE = 30.0
"""How many seconds a cluster has to answer, and may be without any worker."""

LOOKING = 0.5
"""Seconds between two looks at what the cluster does."""


def grade(
    lab: Lab, orders: Sequence[Order], *, address: str, limits: Limits | None = None, news: News | None = None
) -> Generator[Grade, None, None]:
    """Grade every submission on the cluster at this address; the grades come as they stand.

    Whoever stops to listen takes back what has not begun; what a worker has begun it brings to an end.

    Raises UsageError if dask is not installed, MachineError if the cluster does not answer, has no workers, or has some
    without this labkit.
    """
    if not orders:
        return
    with _connected(address) as client:
        packed = _packed(lab.folder, _files_of_lab(lab))
        waiting = {
            client.submit(
                graded,
                packed,
                order.exercise.id,
                _packed(order.folder, (str(path.relative_to(order.folder)) for path in order.folder.rglob("*"))),
                order.begun,
                limits or Limits(),
                order.everything,
                key=f"grade-{order.begun.key}-{hashlib.sha256(packed).hexdigest()[:16]}-{time.monotonic_ns()}",
                pure=False,
            ): order
            for order in orders
        }
        try:
            yield from _as_they_stand(client, waiting, news or News())
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                client.cancel(list(waiting))


def _as_they_stand(client: Any, waiting: dict[Any, Order], news: News) -> Generator[Grade, None, None]:
    """The grades, from the cluster's futures; `waiting` keeps those that have not ended."""
    alone_since: float | None = None
    while waiting:
        done = [future for future in waiting if future.done()]
        for future in done:
            order = waiting.pop(future)
            news.working.pop(order.begun.key, None)
            yield _taken_over(order, future)
        if done:
            continue
        workers = client.scheduler_info()["workers"]
        alone_since = None if workers else alone_since or time.monotonic()
        if alone_since and time.monotonic() - alone_since > PATIENCE:
            raise MachineError(
                "The cluster has no workers any more.",
                "Start some, and repeat the command: it goes on with what is left.",
            )
        running = {key for keys in client.processing().values() for key in keys}
        for future, order in waiting.items():
            if future.key in running:
                news.working[order.begun.key] = (0, 0)
        time.sleep(LOOKING)


def _taken_over(order: Order, future: Any) -> Grade:
    """The grade that a worker has found, with its evidence; or why there is none."""
    error = future.exception()
    if error is None:
        with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary) / "results"
            with contextlib.suppress(MachineError):
                _unpack(future.result(), folder)
            other = Results(folder)
            if found := other.get(order.begun.key):
                # The results that the order's folder is in: `submissions/NAME`.
                return Results(order.folder.parent.parent).adopt(found, other)
        error = ValueError("its results cannot be read")
    is_of_machine = isinstance(error, MachineError | OSError) or type(error).__name__ == "KilledWorker"
    return replace(
        order.begun,
        outcome=Outcome.ENVIRONMENT if is_of_machine else Outcome.INTERNAL,
        when=datetime.now().astimezone(),
        fault=_said(error),
        folder=order.folder,
    )


def _said(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return "Every worker that graded it died."
    return str(error) if isinstance(error, MachineError) else f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _connected(address: str) -> Generator[Any, None, None]:
    """A client of the cluster, whose workers all have this labkit."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("dask is not installed here.", "pip install 'handson-labkit[dask]'") from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise MachineError(
            f"No cluster answers at {address}: {error}",
            "labkit grade DIR --dask tcp://HOST:8786, as `dask scheduler` says it",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise MachineError(
                f"The cluster at {address} has no workers.", f"On each machine: dask worker {address} --nthreads 1"
            ) from error
        for worker, version in client.run(labkit_version, on_error="return").items():
            if version != __version__:
                has = f"labkit {version}" if isinstance(version, str) else "no labkit"
                raise MachineError(
                    f"The worker {worker} has {has}, and this is {__version__}.", "Install the same there."
                )
        yield client


# What workers do.


def labkit_version() -> str:
    """The version of a worker's labkit."""
    return __version__


def graded(lab: bytes, exercise: str, work: bytes, begun: Grade, limits: Limits, everything: bool) -> bytes:
    """Grade one submission on this machine; its results as a zip, see `Results.write`. Lab and work are zips as well.

    Raises MachineError if the zips cannot be unpacked here.
    """
    here = find_lab(_lab_here(lab))
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
        results = Results(Path(temporary) / "results")
        with results.writing():
            _unpack(work, results.staged(begun.key))
            order = Order(here.exercise(exercise), results.staged(begun.key), begun, everything)
            for found in crew.grade(here, [order], 1, limits):
                results.put(found)
                results.write(found, Path(temporary) / "results.zip")
        return (Path(temporary) / "results.zip").read_bytes()


def _lab_here(content: bytes) -> Path:
    """The folder of a lab on this machine: unpacked once, and kept."""
    folder = cache_folder() / "labs" / hashlib.sha256(content).hexdigest()[:16]
    if not (folder / "lab.toml").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", ignore_cleanup_errors=True) as temporary:
            _unpack(content, Path(temporary) / "lab")
            with contextlib.suppress(OSError):  # another task was quicker
                (Path(temporary) / "lab").replace(folder)
    return folder


def _unpack(content: bytes, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="labkit-") as temporary:
        archive = Path(temporary) / "packed.zip"
        archive.write_bytes(content)
        try:
            archives.unpack(archive, folder, everything=True)
        except Unreadable as error:
            raise MachineError(str(error)) from error


def _files_of_lab(lab: Lab) -> Iterable[str]:
    yield "lab.toml"
    for name in ("exercises", "snippets"):
        if (lab.folder / name).is_dir():
            yield from (f"{name}/{path}" for path in tree.app_files(lab.folder / name))


def _packed(folder: Path, paths: Iterable[str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            if (folder / path).is_file():
                archive.write(folder / path, Path(path).as_posix())
    return content.getvalue()
