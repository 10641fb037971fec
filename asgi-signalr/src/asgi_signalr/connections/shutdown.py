"""Whether the ASGI server of this process is about to end.

uvicorn first waits for the answers of all requests, and only then tells the application of its end. Server-Sent Events
and polls are answers that wait for the application: without this look both would wait for each other.
"""

import signal
from collections.abc import Callable
from importlib import import_module
from typing import Any


def _find_getsignal() -> Callable[[int], Any]:
    """Find what `signal.getsignal` calls: it then makes an enum of the answer, which costs every new connection."""
    try:
        getsignal: Callable[[int], Any] = import_module("_signal").getsignal
    except (ImportError, AttributeError):  # another Python than CPython and PyPy
        return signal.getsignal
    return getsignal


_getsignal = _find_getsignal()


def is_asked_for() -> bool:
    """Say whether a uvicorn that handles this process's signals has been told to exit."""
    handlers = (_getsignal(each) for each in (signal.SIGINT, signal.SIGTERM))
    return any(getattr(getattr(each, "__self__", None), "should_exit", False) is True for each in handlers)
