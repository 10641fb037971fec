"""The grading process: grades one submission after the other, as its crew hands them over (`-m labkit.grading.worker`).

It is a process of its own so that it can be ended whatever a submission does, with all that it has started. What is
printed meanwhile goes to its log; the messages have the pipe for themselves.
"""

import os
import sys
import traceback

from labkit.errors import LabError, MachineError
from labkit.grading.grader import grade
from labkit.grading.messages import Failed, Message, Work, decode, encode
from labkit.lab import find_lab
from labkit.verify.warm import Warm


def main() -> None:
    """Grade until the pipe is closed."""
    with os.fdopen(os.dup(1), "wb", buffering=0) as pipe, Warm() as warm:
        os.dup2(2, 1)

        def tell(message: Message) -> None:
            pipe.write(encode(message) + b"\n")

        for line in sys.stdin.buffer:
            work = decode(line)
            assert isinstance(work, Work)  # noqa: S101  (the crew sends nothing else)
            try:
                exercise = find_lab(work.lab).exercise(work.exercise)
                tell(grade(exercise, work.folder, work.limits, warm, tell, work.everything))
            except LabError as error:
                tell(Failed(isinstance(error, MachineError), error.message, error.next))
            except Exception as error:  # noqa: BLE001  (the crew is told, and goes on with the next)
                traceback.print_exc()
                tell(Failed(isinstance(error, OSError), f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
