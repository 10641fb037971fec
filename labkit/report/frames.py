"""What WebSocket frames mean, said by the command that a lab names for it."""

import json
import subprocess
import sys
from collections.abc import Sequence

from labkit.processes import environment
from labkit.recording import Event

PATIENCE = 10.0
"""How many seconds decoding may take; the frames are shown as they are after that."""


def decoded(frames: Sequence[Event], command: Sequence[str]) -> list[list[str] | None]:
    """What each frame's messages say; None for a frame that is to be shown as it is."""
    nothing: list[list[str] | None] = [None] * len(frames)
    if not command or not frames:
        return nothing
    given = "".join(json.dumps({"text": each.text, "binary": each.binary}) + "\n" for each in frames)
    try:
        done = subprocess.run(
            [part.replace("{python}", sys.executable) for part in command],
            input=given.encode(),
            capture_output=True,
            timeout=PATIENCE,
            env=environment({}),
        )
        lines = [json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return nothing
    if done.returncode or len(lines) != len(frames):
        return nothing
    return [[str(each) for each in line] if isinstance(line, list) and line else None for line in lines]
