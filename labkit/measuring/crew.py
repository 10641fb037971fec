"""A crew: the process of a lab that sends and hears at one instance, as clients do.

It gets orders on its standard input, one a line, and answers each with a line, both JSON:

- `{"do": "connect", "number", "url", "clients"}`: connect so many clients to the instance at the URL.
- `{"do": "hear", "word", "sends", "seconds"}`: tell as `heard` whether each of them hears the word within that time;
  the first one of the crew that `sends` says it to all.
- `{"do": "measure", "kind", "rate", "sender", "first", "begins", "counts", "ends"}`: send messages of the kind, `rate`
  of them a second: each client, or, where the app is the sender, the app when the `first` crew asks it to. `begins`,
  `counts` and `ends` are moments of `time.perf_counter()`, which is one clock for the whole machine. Tell as `heard`
  how many messages all clients together got between `counts` and `ends`, and as `delays` how many seconds they were on
  their way, or a sample of them.

Where it cannot, it answers `{"error": "…"}`. It ends when its input does.
"""

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.errors import InternalError, LabError
from labkit.processes import Group
from labkit.services.program import last_lines

Answer = dict[str, Any]


class Crew:
    """A running crew; the group ends it."""

    def __init__(
        self, group: Group, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self._log = log
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        with log.open("wb") as file:
            self._process = group.start(
                command,
                cwd=folder,
                environment=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
            )
        threading.Thread(target=self._read, daemon=True).start()

    def order(self, do: str, **more: object) -> None:
        """Give it an order; its `answer` has to be taken before the next one."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it has ended, as its answer will say
                self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
                self._process.stdin.flush()

    def answer(self, patience: float, look: Callable[[], None]) -> Answer:
        """Take its answer, within `patience` seconds; `look` is called meanwhile, and may raise.

        Raises:
            LabError: it could not do it.
            InternalError: it gives no answer, or has ended: the lab is at fault.
        """
        until = time.monotonic() + patience
        while True:
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=0.1)  # in steps, so that Ctrl-C is seen on Windows
                break
            look()
            if time.monotonic() > until:
                raise InternalError(f"The lab's clients gave no answer within {patience:.0f} s.", self._advice)
        look()
        if answer is None:
            raise InternalError(
                f"The lab's clients have ended. Their last lines:\n{last_lines(self._log)}", self._advice
            )
        if "error" in answer:
            raise LabError(
                f"The clients could not go on: {answer['error']}", "labkit verify   (tells what the app lacks)"
            )
        return answer

    @property
    def _advice(self) -> str:
        return f"Their whole log: {self._log}"

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with contextlib.suppress(ValueError):
                self._answers.put(json.loads(line))
        self._answers.put(None)
