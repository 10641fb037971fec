"""Runs inside of an app's instance, before the app: it tells labkit, when asked, where the app's calls are.

labkit asks by making the file that LABKIT_STACKS names, and finds the answer beside it, `.answer`: a line
`FILE<tab>LINE<tab>FUNCTION<tab>` for each call, the outermost first, and an empty line after each stack; `passes on` is
what an ASGI application does that is called for every request, as middleware is. The app, and what it starts, see
nothing of this: neither the variables nor the folder on the path. Where a class is graded, it also tells what the app
tries that is not its own.
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


def _watch(told: str) -> None:
    """Tell, on a line of the log, what the app tries that is not its own: see `sandbox/watch`."""
    from urllib.parse import unquote

    own, *folders = told.split(os.pathsep)
    home, port, neighbours = os.path.realpath(os.getcwd()), int(own), [unquote(each) for each in folders]
    said: set[str] = set()

    def tell(deed: str) -> None:
        if deed not in said and len(said) < 10:
            said.add(deed)
            os.write(2, f"\nlabkit: the app {deed}\n".encode("utf-8", "backslashreplace"))

    def look(event: str, place: object) -> None:
        if not isinstance(place, (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(place))
        if any(path == folder or path.startswith(folder + os.sep) for folder in neighbours):
            tell(f"tried to read the work of others, {path}")
        elif event != "open" and home.startswith(path.rstrip(os.sep) + os.sep):
            tell(f"looked round outside of its own folder, in {path}")
        else:
            parts = path.split(os.sep)
            of_process = parts[1:2] == ["proc"] and len(parts) > 3 and parts[2].isdigit() and parts[3] in _PRIVATE
            if of_process and int(parts[2]) != os.getpid():
                tell(f"tried to get into another process, {path}")

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event in _LOOKING and arguments:
            look(event, arguments[0])
        elif event == "socket.bind":
            address = arguments[1]
            if isinstance(address, tuple) and len(address) > 1 and address[1] not in (0, port):
                tell(f"tried to take port {address[1]}")

    sys.addaudithook(hear)


_LOOKING = frozenset({"open", "os.listdir", "os.scandir"})
_PRIVATE = frozenset({"cwd", "environ", "fd", "map_files", "maps", "mem", "root", "task"})


def _begin() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != folder]
    given = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    if rest := [each for each in given if each and os.path.abspath(each) != folder]:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)  # the app's own
    request = os.environ.pop("LABKIT_STACKS", None)
    if request:
        threading.Thread(target=_listen, args=(request,), name="labkit", daemon=True).start()
    watch = os.environ.pop("LABKIT_WATCH", None)
    if watch:
        _watch(watch)
    hiding = sys.modules.pop("sitecustomize")
    try:
        importlib.import_module("sitecustomize")  # the one of this Python, which ours has hidden
    except ImportError:
        sys.modules["sitecustomize"] = hiding


_begin()
