"""Single keys, read from the terminal while something else goes on."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reader() -> Iterator[Callable[[], str | None]]:
    """Read keys without waiting for Enter; the function tells the next key pressed, in small letters, None if there is
    none. Without a terminal there never is one. Ctrl-C stays an interruption.
    """
    if not sys.stdin.isatty():
        yield lambda: None
    elif sys.platform == "win32":
        import msvcrt

        yield lambda: msvcrt.getwch().lower() if msvcrt.kbhit() else None
    else:
        import select
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)

        def pressed() -> str | None:
            if not select.select([terminal], [], [], 0)[0]:
                return None
            return os.read(terminal, 1).decode("utf-8", "replace").lower() or None

        try:
            tty.setcbreak(terminal)
            yield pressed
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
