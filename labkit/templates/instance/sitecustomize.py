"""Runs inside of an app's instance, before the app: it tells labkit, when asked, where the app's calls are.

labkit asks by making the file that LABKIT_STACKS names, and finds the answer beside it, `.answer`: a line
`FILE<tab>LINE<tab>FUNCTION<tab>` for each call, the outermost first, and an empty line after each stack; `passes on` is
what an ASGI application does that is called for every request, as middleware is. The app, and what it starts, see
nothing of this: neither the variable nor the folder on the path.
"""

import gc
import importlib
import os
import sys
import threading
import time
import types


def _stacks() -> list[list[types.FrameType]]:
    """What each thread runs, and what each coroutine waits for that no other one waits for."""
    own = threading.get_ident()
    found: list[list[types.FrameType]] = []
    for thread, frame in sys._current_frames().items():
        calls: list[types.FrameType] = []
        call = frame if thread != own else None
        while call is not None:
            calls.append(call)
            call = call.f_back
        found.append(calls[::-1])
    waiting = [each for each in gc.get_objects() if isinstance(each, types.CoroutineType)]
    awaited = {id(each.cr_await) for each in waiting}
    for each in waiting:
        stack: list[types.FrameType] = []
        at: object = each if id(each) not in awaited and not each.cr_running else None
        while at is not None:
            now = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None) or getattr(at, "ag_frame", None)
            if now is not None:
                stack.append(now)
            at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None) or getattr(at, "ag_await", None)
        found.append(stack)
    return [stack for stack in found if stack]


def _answer(request: str) -> None:
    with open(request + ".part", "w", encoding="utf-8", errors="replace") as file:
        for stack in _stacks():
            for frame in stack:
                code = frame.f_code
                passes = {"scope", "receive", "send"} <= set(code.co_varnames[: code.co_argcount])
                file.write(f"{code.co_filename}\t{frame.f_lineno}\t{code.co_name}\t{'passes on' * passes}\n")
            file.write("\n")
    os.remove(request)
    os.replace(request + ".part", request + ".answer")


def _listen(request: str) -> None:
    while True:
        time.sleep(0.25)
        if os.path.exists(request):
            try:
                _answer(request)
            except OSError:
                continue


def _begin() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != folder]
    os.environ.pop("PYTHONPATH", None)
    request = os.environ.pop("LABKIT_STACKS", None)
    if request:
        threading.Thread(target=_listen, args=(request,), name="labkit", daemon=True).start()
    hiding = sys.modules.pop("sitecustomize")
    try:
        importlib.import_module("sitecustomize")  # the one of this Python, which ours has hidden
    except ImportError:
        sys.modules["sitecustomize"] = hiding


_begin()
