"""Whether the ASGI server of this process is about to end.

uvicorn first waits for the answers of all requests, and only then tells the application of its end. Server-Sent Events
and polls are answers that wait for the application: without this look both would wait for each other.
"""

import signal


def is_asked_for() -> bool:
    """Say whether a uvicorn that handles this process's signals has been told to exit."""
    handlers = (signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM))
    return any(getattr(getattr(each, "__self__", None), "should_exit", False) is True for each in handlers)
