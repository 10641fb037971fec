"""A command's output as a person sees it, who sits at a terminal of a given width."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def printed(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int
) -> "subprocess.CompletedProcess[str]":
    """Run a command whose stdout is a terminal (on Windows a pipe: there it stands in no picture of ours)."""
    if sys.platform == "win32":
        return subprocess.run(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    import fcntl
    import os
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(ours, 65536))
            except OSError:  # the last one who writes has closed it
                return
            if not shown[-1]:
                return

    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    os.close(theirs)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    _, said = process.communicate()
    reader.join()
    os.close(ours)
    text = b"".join(shown).decode("utf-8", "replace").replace("\r\n", "\n")
    return subprocess.CompletedProcess(list(command), process.returncode, text, said)
