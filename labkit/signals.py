"""Signals: labkit ends in one way, and what it starts hears all of them, however labkit itself was started.

`nohup`, a script's `&`, a CI step or a service manager hands on signals that are ignored or blocked. labkit keeps to
what they say, for itself: `nohup labkit run` outlives its terminal. The programs that it starts would inherit as much,
and then miss the very signals that are to end them.
"""

import contextlib
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_ENDING = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a program to end, besides Ctrl-C: kill, a closed window, Ctrl-Break."""

_INHERITED = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM")
"""What whoever starts labkit may have ignored or blocked."""


def take() -> None:
    """Let what asks labkit to end go the way of Ctrl-C, so that nothing is left behind, and inherit nothing else.

    Only the first one does: a second, which a closed window may bring, would cut the clearing up short.
    """
    _unblock()

    def interrupt(*_: object) -> None:
        for each in taken:
            signal.signal(each, _nothing)
        raise KeyboardInterrupt

    taken = [each for each in _there(_ENDING) if signal.getsignal(each) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, interrupt)
    hear_nothing_but_hand_on()


def hear_nothing_but_hand_on() -> None:
    """Go on ignoring what is ignored, by a handler: a new program gets the default in place of that."""
    for each in _there(_INHERITED):
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, _nothing)
    if sys.platform != "win32" and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # Else the system forgets how a child ended, and Python takes every one for a success.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def next_of(found: "queue.SimpleQueue[T]") -> T:
    """Wait for the next one, in steps: on Windows Ctrl-C does not end a wait without a time-out."""
    while True:
        with contextlib.suppress(queue.Empty):
            return found.get(timeout=0.2)


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Hear no Ctrl-C until the end of the `with` statement: for clearing up, also after an earlier one.

    In a thread that hears no signals nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _nothing)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _unblock() -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _there(_INHERITED))


def _there(names: tuple[str, ...]) -> list[signal.Signals]:
    """Those that this system has."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _nothing(*_: object) -> None:
    """Handle a signal by doing nothing."""
