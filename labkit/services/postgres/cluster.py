"""One PostgreSQL cluster in a folder of its own: made, started, stopped."""

import contextlib
import hashlib
import hmac
import itertools
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psutil

from labkit.errors import MachineError
from labkit.files import Within, read_safely
from labkit.services.postgres.account import (
    OTHER_SERVER,
    START_TIMEOUT,
    WINDOWS,
    account,
    binaries,
    environment,
    identity,
    installed_binaries,
    program,
)
from labkit.services.postgres.roles import APP, USER, admit

STOP_TIMEOUT = 10.0
"""Seconds; past them the server's processes are killed."""
INIT_TIMEOUT = 300.0
"""Seconds for making a data folder, which takes one or two; a disk that hangs is not waited for without end."""
MOST_SAID = 100_000
"""How many bytes of the log's end are looked at."""


@dataclass(frozen=True)
class Cluster:
    """A cluster in `home`: data/, server.log, password. A temporary one gives up durability for speed, unless it
    `waits_for_disk`.
    """

    home: Path
    temporary: bool
    waits_for_disk: bool = False

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "server.log"

    @property
    def stays(self) -> Path:
        """A file that exists while the server is to run without any labkit (`labkit db start`)."""
        return self.home / "stays"

    @cached_property
    def password(self) -> str:
        """The password of labkit's own role."""
        return (self.home / "password").read_text(encoding="utf-8").strip()

    @property
    def app_password(self) -> str:
        """The password of the apps' role: made of the other, which cannot be made of it."""
        return hmac.new(self.password.encode(), APP.encode(), hashlib.sha256).hexdigest()

    @property
    def url(self) -> str:
        """The URL of the running server for labkit itself, without a database.

        Raises:
            MachineError: it does not run.
        """
        running = self.running()
        if running is None:
            raise MachineError(f"The server in {self.home} is not running.", "labkit db start")
        return self.url_at(running[1])

    def url_at(self, port: int) -> str:
        """The URL of the server at this port for labkit itself, without a database."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{port}"

    def app_url_at(self, port: int) -> str:
        """The same for apps."""
        return f"postgresql://{APP}:{self.app_password}@127.0.0.1:{port}"

    def running(self) -> tuple[int, int] | None:
        """The process id and the port of the server if it runs and takes connections."""
        lines = self._pid_file()
        if len(lines) < 8 or lines[7].strip() not in ("ready", "standby"):
            return None
        pid = self._pid(lines)
        return (pid, int(lines[3])) if pid else None

    def create(self) -> None:
        """Make the cluster if there is none: its role is `labkit`, with a random password (scram).

        Raises:
            MachineError: initdb failed, or there is a data folder that lacks a part: nothing of it is deleted.
        """
        if (self.data / "PG_VERSION").exists():
            return
        if self.data.is_dir() and any(self.data.iterdir()):
            version = self.data / "PG_VERSION"
            raise MachineError(
                f"{self.data} has databases in it, but its file PG_VERSION is gone. Nothing was deleted.",
                f"Put it back, with one line that says 18: {version}. Or move the folder away to begin with a new one.",
            )
        who = account()
        bin_ = binaries(who)
        self._sweep()
        password = self.home / "password"
        password.unlink(missing_ok=True)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(18) + "\n")
        self.home.chmod(0o700)
        if sys.platform != "win32" and who:
            os.chown(self.home, who.uid, who.gid)
            os.chown(password, who.uid, who.gid)
        unfinished = self.home / f"data.{os.getpid()}"
        command: list[str | Path] = [
            *(program(bin_, "initdb"), "-D", unfinished, "-U", USER, "--pwfile", password, "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--wal-segsize=4", "--no-sync", "--no-instructions"),
        ]
        result = subprocess.run(
            command,
            cwd=self.home,
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INIT_TIMEOUT,
            **identity(who),
        )
        if result.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise self._fault("PostgreSQL could not make its data folder", result.stderr)
        unfinished.rename(self.data)

    def start(self) -> None:
        """Start the server on a free port of 127.0.0.1, last time's if it can be had; return when it is ready.

        Raises:
            MachineError: it does not start; the message has the log's last lines.
        """
        self._remove_leftover()
        for attempt in range(5):
            port = self._port(again=attempt == 0)
            before = self.log.stat().st_size if self.log.exists() else 0
            if self._launch(port):
                Within(self.home).write("port", f"{port}\n".encode())
                return
            said = read_safely(self.log, before + MOST_SAID)[before:].decode("utf-8", "replace")
            if "could not bind" not in said:  # else somebody took the port in between
                break
        raise self._fault("PostgreSQL did not start", said)

    def admit_apps(self) -> None:
        """Have the running server let apps in, by a role that has their databases and nothing else.

        Raises:
            MachineError: the server refuses, or does not answer.
        """
        running = self.running()
        if running and not self._is_standby():  # that one has the roles of the server that it follows
            admit(lambda database, sql: self._run_sql(running[1], database, sql), self.app_password)

    def _is_standby(self) -> bool:
        lines = self._pid_file()
        return len(lines) >= 8 and lines[7].strip() == "standby"

    def _run_sql(self, port: int, database: str, sql: str) -> list[str]:
        """Run SQL as labkit's own role, whatever a database has set for itself; the rows, of one value each."""
        options = ("--no-psqlrc", "--set=ON_ERROR_STOP=1", "--no-password", "--quiet", "--tuples-only", "--no-align")
        settings = "-c search_path=pg_catalog -c event_triggers=off -c client_min_messages=warning"
        given = {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10", "PGOPTIONS": settings}
        result = subprocess.run(
            [
                *(program(installed_binaries(), "psql"), *options),
                f"postgresql://{USER}@127.0.0.1:{port}/{quote(database, safe='')}",
            ],
            input=sql,
            env={**environment(), **given},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=START_TIMEOUT,
        )
        if result.returncode != 0:
            raise self._fault(f"PostgreSQL cannot let apps in to its database {database}", result.stderr)
        return result.stdout.splitlines()

    def _launch(self, port: int) -> bool:
        """Start the server; false if it ended instead of getting ready."""
        who = account()
        bin_ = binaries(who)
        settings = {
            **{"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""},
            **{"shared_buffers": "32MB", "cluster_name": "labkit"},
        }
        if self.temporary and not self.waits_for_disk:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        if WINDOWS:
            # Only pg_ctl can start a server from an administrator's account there.
            command: list[str | Path] = [program(bin_, "pg_ctl"), "start", "-w", "-s", "-D", self.data, "-l", self.log]
            command += ["-o", " ".join(options)]
            # No pipes: the server would inherit them and hold them open.
            none = subprocess.DEVNULL
            started = subprocess.run(
                command, cwd=self.home, env=environment(), stdout=none, stderr=none, timeout=INIT_TIMEOUT
            )
            return started.returncode == 0
        # The folder may be another account's: in it, root follows no link.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log:
            process = subprocess.Popen(
                [program(bin_, "postgres"), "-D", self.data, *options],
                cwd=self.home,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **identity(who),
            )
        limit = time.monotonic() + START_TIMEOUT
        while process.poll() is None:
            running = self.running()
            if running and running[0] == process.pid:
                return True
            if time.monotonic() > limit:
                self._kill(process.pid)
                return False
            time.sleep(0.005)
        return False

    def stop(self) -> None:
        """Stop the server if it runs; a temporary one without any last writes."""
        pid = self._pid(self._pid_file())
        if pid is None:
            return
        if sys.platform == "win32":
            mode = "immediate" if self.temporary else "fast"
            pg_ctl = program(installed_binaries(), "pg_ctl")
            subprocess.run(
                [pg_ctl, "stop", "-w", "-s", "-D", self.data, "-m", mode],
                cwd=self.home,
                env=environment(),
                capture_output=True,
                timeout=INIT_TIMEOUT,
            )
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if self.temporary else signal.SIGINT)
        limit = time.monotonic() + STOP_TIMEOUT
        while self._is_postmaster(pid):
            if time.monotonic() > limit:
                self._kill(pid)
                return
            time.sleep(0.005)
            if sys.platform != "win32":
                with contextlib.suppress(ChildProcessError):  # else its number stays in the process table
                    os.waitpid(pid, os.WNOHANG)

    def remove(self) -> None:
        """Delete the folder; on Windows the last files may be held for a moment by a process that is ending."""
        for _ in range(50):
            shutil.rmtree(self.home, ignore_errors=True)
            if not self.home.exists():
                return
            time.sleep(0.1)

    def _port(self, again: bool) -> int:
        with socket.socket() as probe:
            if not WINDOWS:  # as PostgreSQL itself: connections that have just ended do not matter
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if again:
                with contextlib.suppress(OSError, ValueError, OverflowError):  # whatever the file has
                    probe.bind(("127.0.0.1", int(read_safely(self.home / "port", 20))))
                    return int(probe.getsockname()[1])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except PermissionError as error:
            if sys.platform == "win32":  # it is just being written
                return []
            owner = self.home.stat().st_uid
            raise MachineError(
                f"{self.home} belongs to another account (number {owner}), not to yours.",
                "Was labkit once run with sudo? Then give the folder back: "
                f"sudo chown -R {os.getuid()} {self.home}. Or set LABKIT_HOME to a folder of your own.",
            ) from error

    def _remove_leftover(self) -> None:
        """Remove the note of a server that was cut off, if its number is somebody else's by now.

        PostgreSQL takes whoever has the number for the server, and would not start.
        """
        lines = self._pid_file()
        if lines and lines[0].strip().isdecimal() and self._pid(lines) is None:
            Within(self.data).write("postmaster.pid", None)

    def _sweep(self) -> None:
        """Remove what an interrupted initdb left."""
        with contextlib.suppress(OSError):
            self.data.rmdir()  # an empty one
        for left in self.home.glob("data.*"):
            number = left.suffix[1:]
            if number.isdecimal() and not psutil.pid_exists(int(number)) and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)

    def _pid(self, lines: list[str]) -> int | None:
        """The postmaster's process, unless the file is a leftover and the number somebody else's by now."""
        try:
            pid = int(lines[0])
        except (IndexError, ValueError):
            return None
        return pid if 0 < pid < 1 << 31 and self._is_postmaster(pid) else None

    def _is_postmaster(self, pid: int) -> bool:
        """Whether the server of this very folder runs under the number: no other program is ever ended for it."""
        try:
            process = psutil.Process(pid)
            if not process.name().startswith("postgres") or process.status() == psutil.STATUS_ZOMBIE:
                return False
            command = process.cmdline()
        except psutil.AccessDenied:  # another account's, whose command is not shown to all on this system
            return True
        except psutil.NoSuchProcess:
            return False
        folders = [after for flag, after in itertools.pairwise(command) if flag == "-D"]
        return any(Path(folder).resolve() == self.data.resolve() for folder in folders)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
            for process in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def _fault(self, what: str, said: str) -> MachineError:
        lines = [line for line in said.strip().splitlines() if line.strip()][-8:]
        if "No space left on device" in said or "disk full" in said.lower():
            return MachineError(
                f"{what}: the disk is full ({self.home}).",
                "Free some 100 MB there, or set LABKIT_HOME (TMPDIR for temporary servers) to a folder elsewhere.",
            )
        if nameless := re.search(r"could not look up effective user ID (\d+)", said):
            return MachineError(
                f"PostgreSQL does not run here: your account, number {nameless[1]}, has no name on this machine.",
                "Whoever runs this machine, or its container, adds a line for it to /etc/passwd. "
                f"Exercises without a database need none. {OTHER_SERVER}",
            )
        return MachineError("\n  ".join([f"{what} in {self.home}. Its last words:", *lines]), OTHER_SERVER)
