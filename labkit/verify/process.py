"""The command's side of the checking process: starts it, talks with it, and ends it."""

import contextlib
import queue
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from labkit.errors import MachineError
from labkit.processes import Group, environment
from labkit.verify.job import Abandoned, Idle, Job, Message, decode, encode
from labkit.verify.seal import Sealer

FINISHING = 15.0
"""How many seconds a process that stays has to finish its job."""


class CheckingProcess:
    """A running checking process, see `worker`; it ends with the `with` statement at the latest.

    The job's temporary folder is empty: it has the working folder, and everything temporary. A process that stays can
    be given another job, of the same checks and with the same folder, once it is free.
    """

    def __init__(self, job: Job) -> None:
        self.is_free = False
        self._stays = job.stays
        temporary = job.temporary
        self.log = temporary / "checking.log"
        self._messages: queue.SimpleQueue[Message | MachineError | None] = queue.SimpleQueue()
        self._key = secrets.token_hex(32)
        empty = temporary / "empty"
        empty.mkdir()
        self._group = Group()
        with self.log.open("wb") as log:
            # -P: the working folder is no place to import from.
            self._process = self._group.start(
                [sys.executable, "-P", "-m", "labkit.verify.worker"],
                cwd=empty,
                environment=environment(
                    {
                        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
                    },
                    also=("LABKIT_*", "PLAYWRIGHT_*"),
                ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        threading.Thread(target=self._read, daemon=True).start()
        self.begin(job)

    @property
    def runs(self) -> bool:
        """Whether it can be given anything to do."""
        return self._process.poll() is None

    def begin(self, job: Job) -> None:
        """Give it a job, its first one or, if it is free, another one."""
        self.is_free = False
        self.send(replace(job, key=self._key))

    def __enter__(self) -> Self:
        """Use it until the end of the `with` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it, unless it stays and has done its job."""
        if not self.is_free:
            self.stop()

    def abandon(self) -> None:
        """Let it know that there is no app to check."""
        if self._stays:
            self.send(Abandoned())
        self.release()

    def release(self) -> None:
        """End it; one that stays may finish its job instead, within some seconds, and is free then."""
        if self._stays and not self.is_free:
            self.finish(FINISHING)
        if not self.is_free:
            self.stop()

    def stop(self) -> None:
        """End it, the hard way: whoever wants what it still has to write has called `finish`."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self._group.stop(grace=0)
        with contextlib.suppress(OSError):  # it ended before it had read all
            self._process.stdin.close()

    def send(self, message: Message) -> None:
        """Send one message; if it has ended, `receive` tells."""
        pipe = self._process.stdin
        if pipe is not None:
            try:
                pipe.write(encode(message))
                pipe.flush()
            except OSError:
                return

    def receive(self, seconds: float) -> Message | None:
        """The next message; None once it has ended.

        Raises TimeoutError if nothing comes within the seconds, MachineError for a message that somebody else has made.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                # In short waits, because a long one cannot be interrupted on Windows.
                message = self._messages.get(timeout=max(min(deadline - time.monotonic(), 0.5), 0))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                continue
            if isinstance(message, MachineError):
                raise message
            return message

    def finish(self, seconds: float) -> None:
        """Wait until it has ended by itself, or is free, for some seconds at most."""
        try:
            while not self.is_free and (message := self.receive(seconds)) is not None:
                self.is_free = isinstance(message, Idle)
        except TimeoutError:
            return

    def _read(self) -> None:
        if self._process.stdout is not None:
            sealer = Sealer(self._key)
            with self._process.stdout as pipe:
                for sealed in pipe:
                    if not sealed.endswith(b"\n"):
                        break  # it ended, or was ended, in the middle of the line
                    line = sealer.open(sealed)
                    if line is None:
                        self._messages.put(_forged())
                        return
                    self._messages.put(decode(line))
        self._messages.put(None)


def _forged() -> MachineError:
    return MachineError(
        "Something other than the checks has told of verdicts, the app or what it started: nothing of this run counts.",
        "Look at the app's code before you run it again.",
    )
