"""Answers that do not come because a call of the app does not return: they need not be waited for."""

import time
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from labkit import diagnosis, stacks
from labkit.verify.causes import Finding, Seen
from labkit.verify.causes.finding import Request
from labkit.verify.stage import RunningInstance, Stage

LATE = 3.0
"""After how many seconds without an answer a failed check is explained by it."""

HOPELESS = 10.0
"""After how many seconds it is not waited for any more."""

PAUSE = 5.0
"""Seconds between two looks that have found nothing."""


def find(stage: Stage, seen: Iterable[Seen], after: float = LATE) -> Finding | None:
    """The line that an instance hangs in while it should answer, with the request that waits for it."""
    now = time.monotonic()
    late = [request for each in seen for request in list(each.pending.values()) if now - request.since > after]
    for request in sorted(late, key=lambda each: each.since):
        instance = next((each for each in stage.instances if request.url.startswith(f"{each.url}/")), None)
        frame = stacks.hanging(instance.log, stage.app) if instance else None
        if instance and frame:
            return _finding(stage, instance, frame, request)
    return None


def _finding(stage: Stage, instance: RunningInstance, frame: stacks.Frame, request: Request) -> Finding:
    place = diagnosis.place(stage.app, frame.path, frame.line)
    number = f"instance {instance.number}" if len(stage.instances) > 1 else "the app"
    return Finding(
        f"{number} does not answer {request.method} {unquote(urlsplit(request.url).path)}: the call hangs in {place}, "
        f"in {frame.function}{place.quoted}",
        place,
        f"Look at {place}: what does it wait for? Mend it, save the file and verify again.",
    )
