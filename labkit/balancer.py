"""A load balancer in front of an app's instances: one address for all of them. It is Caddy, a real reverse proxy.

Who has come to an instance stays with it (a cookie), as long as it answers; whoever comes anew gets the next one. Each
response says in `X-Served-By` which instance it is from, and the app is told the same, so that a page can show it. A
request to an instance that has ended goes to another one; WebSockets and events are passed on as they come.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from labkit.errors import MachineError
from labkit.ports import HOST, check_ports, hold, in_use, is_free
from labkit.processes import Group, environment
from labkit.services.program import beside_python, last_lines, listening

SERVED_BY = "X-Served-By"
"""The header of requests and responses that names the instance: `instance 2`."""

_ATTEMPTS = 3
_REQUESTS, _TROUBLE = "requests.log", "caddy.log"

_TEMPLATE = Path(__file__).parent / "templates" / "balancer" / "Caddyfile"


@dataclass(frozen=True)
class Request:
    """A request that went through, with the number of the instance that has answered it."""

    instance: int
    method: str
    path: str
    status: int
    is_page: bool


@dataclass
class Balancer:
    """A balancer that runs, at `url`; `entrances` are addresses of it that lead to one instance each."""

    url: str
    entrances: tuple[str, ...]
    folder: Path
    _log: BinaryIO | None = field(default=None, repr=False)
    _rest: bytes = b""

    def requests(self) -> list[Request]:
        """The requests that were answered since this was last asked; one over a WebSocket when that has ended."""
        with contextlib.suppress(OSError):
            if self._log is None:
                self._log = (self.folder / _REQUESTS).open("rb")
            *lines, self._rest = (self._rest + self._log.read()).split(b"\n")
            return [request for line in lines if (request := _read(line))]
        return []

    def close(self) -> None:
        """Let go of its log."""
        if self._log is not None:
            self._log.close()


def find() -> Path:
    """Find Caddy: of labkit's extra, else on the PATH.

    Raises MachineError if there is none.
    """
    program = beside_python("caddy")
    if program is None:
        raise MachineError(
            "There is no load balancer here: it needs the program caddy.",
            "pip install 'handson-labkit[balancer]', or install Caddy so that `caddy version` works, then repeat.",
        )
    return program


@contextmanager
def running(
    ports: Sequence[int], folder: Path, *, port: int | None = None, entrances: bool = False
) -> Iterator[Balancer]:
    """Run a balancer for the instances at these ports until the end of the block, with its files in `folder`.

    It has this `port`, or one by the operating system's choice. With `entrances` it has besides an address for each
    instance, for whoever means that one: a browser sends a host's cookies to every port of it.

    Raises MachineError if Caddy is not there, or does not start; PortInUse if somebody has the port.
    """
    program = find()
    if port is not None:
        check_ports(port, 1)
    folder.mkdir(parents=True, exist_ok=True)
    with Group() as group:
        for attempt in range(1, _ATTEMPTS + 1):
            with hold(len(ports) * entrances + (port is None)) as held:
                own = [port] if port is not None else []
                main, *others = (*own, *held.ports)
                _write(folder, ports, main, others)
                for each in held.ports:
                    held.release(each)
            if _start(group, program, folder, main):
                break
            if port is not None and not is_free(port):
                raise in_use(port, 1)
            if attempt == _ATTEMPTS:
                raise MachineError(
                    f"The load balancer does not start. Its last lines:\n{last_lines(folder / _TROUBLE)}",
                    f"The whole log: {folder / _TROUBLE}",
                )
        balancer = Balancer(f"http://{HOST}:{main}", tuple(f"http://{HOST}:{each}" for each in others), folder)
        try:
            yield balancer
        finally:
            balancer.close()


def _write(folder: Path, ports: Sequence[int], main: int, others: Sequence[int]) -> None:
    """Write what Caddy is to do; the secret is what it signs its cookies with."""
    import jinja2

    numbers = {port: number for number, port in enumerate(ports, start=1)}
    alone = [{"port": at, "instances": {port: numbers[port]}} for at, port in zip(others, ports, strict=False)]
    template = jinja2.Template(
        _TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = template.render(
        sites=[{"port": main, "instances": numbers}, *alone],
        host=HOST,
        requests=_REQUESTS,
        trouble=_TROUBLE,
        cookie=f"labkit-{secrets.token_hex(4)}",
        secret=secrets.token_hex(16),
        served_by=SERVED_BY,
    )
    (folder / "Caddyfile").write_text(text, encoding="utf-8", newline="\n")
    (folder / _REQUESTS).unlink(missing_ok=True)


def _start(group: Group, program: Path, folder: Path, port: int) -> bool:
    """Start it, and tell whether it listens."""
    own = environment({"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)})
    command = [str(program), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with (folder / _TROUBLE).open("wb") as log:
        return listening(group, command, folder, port, log, own) is not None


def _read(line: bytes) -> Request | None:
    """Read a line of Caddy's log; None for a request that no instance has answered, or what is no request."""
    try:
        entry = json.loads(line)
        request, headers = entry["request"], entry["resp_headers"]
        served = headers[SERVED_BY][0].rpartition(" ")[2]
        kind = headers.get("Content-Type", [""])[0]
        return Request(int(served), request["method"], request["uri"], entry["status"], kind.startswith("text/html"))
    except (ValueError, KeyError, TypeError, IndexError):
        return None
