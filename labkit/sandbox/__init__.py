"""Other people's apps, kept from everything but their own folder, database and ports.

::

    sandbox = Sandbox(write=(app, temporary), connect=(5432,))
    command = sandbox.wrap(["python", "-m", "app"], ports=[8000])

What is enforced depends on the system; `lacking` says what is not, in words for the first line of a command's output.
`docs/sandbox.md` has the table.
"""

import json
import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.platform == "linux":
    from labkit.sandbox.confine import filters, landlock, undump
else:

    def landlock() -> int:
        """No version of Landlock: other systems have none."""
        return 0

    def filters() -> bool:
        """No: other systems have no such filter."""
        return False

    def undump() -> None:
        """Nothing: other systems are not asked."""


VARIABLE = "LABKIT_SANDBOX"
"""The environment variable that, set to `off`, lets apps run with all rights of whoever verifies them."""

LIMITS = {
    "FSIZE": 500_000_000,
    "NPROC": 4096,
    "CORE": 0,
}
"""The limits of each process: bytes of a file, processes of the user, bytes of a memory image."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store", "/snap", "/proc", "/sys")
"""What programs read everywhere, and where nobody keeps what is private."""

_OF_PREFIX = ("bin", "lib", "lib64", "libexec", "include")

_SIGNALS, _NETWORK = 6, 4
"""The versions of Landlock that began to keep signals, and TCP ports."""


@dataclass(frozen=True)
class Sandbox:
    """The rights of one app: the folders that it may write to and read, and the TCP ports that it may connect to.

    It also reads what its programs are made of: the system's folders, and its Python with packages.
    """

    write: Sequence[Path]
    read: Sequence[Path] = ()
    connect: Sequence[int] = ()
    groups: Sequence[Path] = field(default=())
    """Control groups that it enters."""

    def wrap(self, command: Sequence[str], ports: Sequence[int]) -> list[str]:
        """The command that runs another one inside; it may listen on these ports, and connect to them."""
        if not sys.platform.startswith("linux") or is_off():
            return list(command)
        given = {
            "landlock": landlock(),
            "filters": filters(),
            "write": [str(path.resolve()) for path in self.write],
            "read": [*_SYSTEM, *map(str, self.read), *_readable(command)],
            "bind": list(ports),
            "connect": [*ports, *self.connect],
            "limits": LIMITS,
            "groups": [str(path) for path in self.groups],
        }
        door = Path(__file__).with_name("confine.py")
        return [sys.executable, "-I", "-S", str(door), json.dumps(given), *command]


def is_off() -> bool:
    """Whether whoever verifies has turned the sandbox off."""
    return os.environ.get(VARIABLE) == "off"


def keeps_files() -> bool:
    """Whether the app is kept from files and processes that are not its own."""
    return not is_off() and landlock() > 0


def hide() -> None:
    """Keep this process's memory and descriptors from other programs of the same user, where nothing else does.

    Linux can do that; what labkit starts has to ask for it anew.
    """
    if not keeps_files():
        undump()


def lacking() -> str | None:
    """What is not enforced on this system, as a sentence; None if all is that the table promises."""
    if is_off():
        return f"Nothing keeps the app from your files and programs: {VARIABLE} is off."
    version = landlock()
    if version == 0:
        return "Nothing keeps the app from your files and programs on this system: verify only work that you trust."
    missing = [
        name for name, since in (("the network", _NETWORK), ("signals to other programs", _SIGNALS)) if version < since
    ]
    missing += [] if filters() else ["UDP and Unix sockets"]
    return f"This system does not keep the app from {' and '.join(missing)}." if missing else None


def _readable(command: Sequence[str]) -> Iterator[str]:
    """The folders and files of the programs that the command, and whatever it starts by name, is made of."""
    for part in command[:1]:
        program = shutil.which(part) or part
        yield from _of_program(Path(program))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder).is_absolute():
            yield from _of_program(Path(folder) / "any")
    yield from _python()


def _of_program(program: Path) -> Iterator[str]:
    """Its prefix's folders: of `PREFIX/bin/program`, as it is named and as it really is."""
    for each in {program, program.resolve()}:
        prefix = each.parent.parent if each.parent.name in ("bin", "Scripts") else None
        if prefix is None or prefix == prefix.parent:
            yield str(each.parent)
            continue
        yield from (str(prefix / name) for name in _OF_PREFIX)
        settings = prefix / "pyvenv.cfg"
        if settings.is_file():
            yield str(settings)


def _python() -> Iterator[str]:
    """What labkit's own Python reads: it runs apps that have no environment of their own."""
    yield from {sys.prefix, sys.base_prefix, sys.exec_prefix, sysconfig.get_path("stdlib")}
    own = Path(__file__).parent.parent
    yield str(own)
    # The current folder, which `python -m` puts there, is perhaps that of many submissions.
    foreign = {Path.cwd()} - {own.parent}
    yield from (each for each in sys.path if Path(each).is_absolute() and Path(each) not in foreign)
    if site.ENABLE_USER_SITE:
        yield site.getusersitepackages()
