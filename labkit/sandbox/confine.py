"""The door of the sandbox: a small program that starts another one with fewer rights, and outlives all that it starts.

    python -I -S confine.py '{"write": [...], "read": [...], "bind": [...], "connect": [...], ...}' COMMAND...

It stays outside, as the parent of everything inside: what loses its parent there comes to it (Linux's subreaper, as
root also a process namespace of its own), and is ended when the command ends. The command itself is confined by
Landlock, makes no sockets but those of TCP, loses every capability and can get none back, and has limits. Standard
library only: it is up in some milliseconds.
"""

import contextlib
import ctypes
import errno
import json
import os
import signal
import struct
import sys
from collections.abc import Iterable
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every processor
_VERSION = 1
_PATH, _PORT = 1, 2
_READ = 1 | 4 | 8  # execute, read a file, list a folder
_OF_FILES = 1 | 2 | 4 | 1 << 14 | 1 << 15
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""The rights to files that each version of Landlock knows."""

_BIND, _CONNECT = 1, 2
_SCOPES = 1 | 2  # abstract Unix sockets, signals
_NEWPID, _NEWIPC = 0x20000000, 0x08000000
_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_DROP, _SET_SUBREAPER, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 1, 4, 24, 36, 38, 47
_GET_SECCOMP, _SET_SECCOMP, _FILTER = 21, 22, 2

_CALLS = {  # its name for seccomp; socket, socketpair, sendto, sendmsg, sendmmsg
    "x86_64": (0xC000003E, 41, 53, 44, 46, 307),
    "aarch64": (0xC00000B7, 198, 199, 206, 211, 269),
}
"""The numbers of the system calls by which a program reaches others, on each processor that is known here."""

_X32, _IO_URING = 0x40000000, 425  # other ways to the same calls
_FASTOPEN = 0x20000000  # connects as it sends, which Landlock does not see


if sys.platform != "linux":
    raise ImportError("This door is made for Linux.")


def landlock() -> int:
    """The version of Landlock that this system enforces; 0 if none."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)), 0)


def undump() -> None:
    """Have the system refuse this process's memory and descriptors to all but root's powers (Linux)."""
    _libc().prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _refused(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def restrict(
    version: int, read: Iterable[str], write: Iterable[str], bind: Iterable[int], connect: Iterable[int]
) -> None:
    """Take from this process, and all that it starts, whatever is not named: files, TCP ports, signals to others.

    All that this version of Landlock can keep from it is. Raises OSError if the system does not do it.
    """
    libc = _libc()
    rights = _RIGHTS[min(version, 5)]
    # struct landlock_ruleset_attr, as long as this version of it.
    attributes = struct.pack("=Q", rights)
    attributes += struct.pack("=Q", _BIND | _CONNECT) if version >= 4 else b""
    attributes += struct.pack("=Q", _SCOPES) if version >= 6 else b""
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        raise _refused("Landlock")
    devices = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
    for paths, given in ((read, _READ), (write, rights), (devices, rights)):
        for path in paths:
            _allow(libc, rules, path, given & rights)
    if version >= 4:
        for ports, given in ((bind, _BIND), (connect, _CONNECT)):
            for port in ports:
                if libc.syscall(_ADD_RULE, rules, _PORT, struct.pack("=QQ", given, port), 0):
                    raise _refused(f"Landlock, port {port}")
    if libc.syscall(_RESTRICT_SELF, rules, 0):
        raise _refused("Landlock")
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        at = os.open(path, getattr(os, "O_PATH", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:  # what is not there need not be let in
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112  (pathlib takes longer to import than all of this)
            rights &= _OF_FILES
        if libc.syscall(_ADD_RULE, rules, _PATH, struct.pack("=Qi", rights, at), 0):
            raise _refused(f"Landlock, {path}")
    finally:
        os.close(at)


def filters() -> bool:
    """Whether this system, on this processor, can be told which sockets a program may make."""
    return os.uname().machine in _CALLS and sys.maxsize > 2**32 and _libc().prctl(_GET_SECCOMP, 0, 0, 0, 0) >= 0


def _restrict_sockets(libc: ctypes.CDLL) -> None:
    """Leave sockets of TCP, which Landlock looks after, and pairs, which lead nowhere else: no UDP, no Unix sockets."""
    code = _socket_filter(*_CALLS[os.uname().machine])
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
    if libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise _refused("seccomp")


def _socket_filter(machine: int, socket: int, pair: int, sendto: int, sendmsg: int, sendmmsg: int) -> bytes:
    """The filter as the kernel reads it: instructions of 8 bytes, of a call's number (0), processor (4), arguments."""
    load, same, least, has, mask, answer = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
    first, second, third, fourth = 16, 24, 32, 40
    stream, datagrams, tcp, internet, internet_6, netlink = 1, 2, 6, 2, 10, 16
    # Each line: its label, what is done, with which value, and the label to go on at if that is so, or not.
    lines: tuple[tuple[str, int, int, str, str], ...] = (
        ("", load, 4, "", ""),
        ("", same, machine, "", "refuse"),
        ("", load, 0, "", ""),
        ("", least, _X32, "refuse", ""),
        ("", same, _IO_URING, "refuse", ""),
        ("", same, socket, "socket", ""),
        ("", same, pair, "pair", ""),
        ("", same, sendmsg, "sendmsg", ""),
        ("", same, sendto, "sendto", ""),
        ("", same, sendmmsg, "sendto", "allow"),
        ("socket", load, first, "", ""),
        ("", same, netlink, "allow", ""),  # by which programs learn whether there is IPv6
        ("", same, internet, "internet", ""),
        ("", same, internet_6, "internet", "refuse"),
        ("internet", load, second, "", ""),
        ("", mask, 15, "", ""),
        ("", same, stream, "", "refuse"),
        ("", load, third, "", ""),
        ("", same, 0, "allow", ""),
        ("", same, tcp, "allow", "refuse"),
        ("pair", load, second, "", ""),
        ("", mask, 15, "", ""),
        ("", same, datagrams, "refuse", "allow"),  # each of which can be sent anywhere
        ("sendmsg", load, third, "", ""),
        ("", has, _FASTOPEN, "refuse", "allow"),
        ("sendto", load, fourth, "", ""),
        ("", has, _FASTOPEN, "refuse", "allow"),
        ("allow", answer, 0x7FFF0000, "", ""),
        ("refuse", answer, 0x00050000 | errno.EACCES, "", ""),
    )
    places = {label: number for number, (label, *_) in enumerate(lines)}
    return b"".join(
        struct.pack("=HBBI", what, *(places[each] - number - 1 if each else 0 for each in (so, otherwise)), value)
        for number, (_, what, value, so, otherwise) in enumerate(lines)
    )


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Leave root its number and nothing else of its power."""
    for number in range(64):
        libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(_CAP_AMBIENT, 4, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)
    if libc.capset(header, struct.pack("=6I", *[0] * 6)):
        raise _refused("capabilities")


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _join(groups: Iterable[str]) -> None:
    """Enter control groups that labkit has made."""
    for group in groups:
        with contextlib.suppress(OSError), open(f"{group}/cgroup.procs", "w") as file:  # noqa: PTH123  (as in `_allow`)
            file.write("0")


def _reap(first: int) -> int:
    """Look after all children until the first has ended; its status."""
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except InterruptedError:
            continue
        if pid == first:
            return os.waitstatus_to_exitcode(status)


def _end_children() -> None:
    """End what is left inside: all of it has become a child of this process by now, or does so at once."""
    while True:
        try:
            with open("/proc/thread-self/children") as file:  # noqa: PTH123  (as in `_allow`)
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        for pid in children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _leave(status: int) -> None:
    """End as the command has ended."""
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)


def main(given: dict[str, Any], command: list[str]) -> None:
    """Start the command inside, wait for it, end what it leaves, and end as it did."""
    libc = _libc()
    _join(given["groups"])
    libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the command hears them itself
    is_root = os.geteuid() == 0
    own_processes = is_root and libc.unshare(_NEWPID | _NEWIPC) == 0
    first = os.fork()
    if first == 0:
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if own_processes:  # number 1 of its own processes: with it, all of them end
            inner = os.fork()
            if inner:
                status = _reap(inner)
                os._exit(status if status >= 0 else 128 - status)
        _enter(libc, given, command, is_root)
    status = _reap(first)
    _end_children()
    _leave(status)


def _enter(libc: ctypes.CDLL, given: dict[str, Any], command: list[str], is_root: bool) -> None:
    """Give up the rights, and become the command."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _limit(given["limits"])
        if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise _refused("no new privileges")
        if given["landlock"]:
            restrict(given["landlock"], given["read"], given["write"], given["bind"], given["connect"])
        if given["filters"]:
            _restrict_sockets(libc)
        if is_root:
            _drop_capabilities(libc)
        os.execvpe(command[0], command, os.environ)  # noqa: S606  (an app's own command)
    except OSError as error:
        os.write(2, f"labkit's sandbox: {error}\n".encode())
    os._exit(126)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
