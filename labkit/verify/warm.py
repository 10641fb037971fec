"""What runs that follow one another share, so that each of many takes less time than one alone."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from labkit.verify import standby
from labkit.verify.job import Job
from labkit.verify.process import CheckingProcess
from labkit.verify.standby import Standby
from labkit.verify.subject import Subject

if TYPE_CHECKING:
    from labkit.services.postgres.server import Server


class Warm:
    """A checking process with its browser, and a database server: what one run leaves of them, the next one uses.

    It belongs to one thread at a time::

        with Warm() as warm:
            for subject in subjects:
                verify(subject, warm=warm)
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers = self._stack.enter_context(ExitStack())
        self._process: CheckingProcess | None = None
        self._job: Job | None = None
        self._server: Server | None = None
        self._state = ""
        self._standby: Standby | None = None
        self._waits = False
        self.started = False
        """Whether the last run had a running app to check."""

    def __enter__(self) -> Self:
        """Use it until the end of the `with` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End what is still there."""
        self.rest()
        self._stack.close()

    def interrupt(self) -> None:
        """End the checking process, whatever it does: a run that waits for it comes to its end. For another thread."""
        if self._process:
            self._process.stop()

    def prepare(self, subject: Subject) -> None:
        """Make ready for the next run of the same subject: the checks are read, and instances run.

        Nothing is prepared of an app that did not start the last time: it may take a long time again.
        """
        self.rest()
        if self.started and self._job:
            self.process(replace(self._job, waits=True))
            self._waits = True
            self._standby = standby.make(subject, self.server)

    def rest(self) -> None:
        """Stop the instances that stand by."""
        if self._standby:
            self._standby.__exit__(None, None, None)
            self._standby = None

    def standby(self, subject: Subject) -> Standby | None:
        """The instances that were prepared, for the caller to end, if they can be had for what the subject is now."""
        prepared, self._standby = self._standby, None
        if prepared and not prepared.follow(subject):
            prepared.__exit__(None, None, None)
            return None
        return prepared

    def process(self, job: Job) -> CheckingProcess:
        """A process that has begun this job: the one that is there if it is free, and has the same checks."""
        process, waits, self._waits = self._process, self._waits, False
        usable = process and process.runs and (waits or process.is_free)
        if process and usable and self._job and self._job.checks == job.checks:
            process.begin(replace(job, temporary=self._job.temporary, stays=True))
            return process
        if process:
            process.stop()
        folder = tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True)
        self._job = replace(job, temporary=Path(self._stack.enter_context(folder)), stays=True)
        self._process = CheckingProcess(self._job)
        self._stack.callback(self._process.stop)
        return self._process

    def server(self) -> "Server":
        """A server without any database that an earlier run has made: a new one if more of it has changed than that."""
        from labkit.services.postgres.keeper import temporary_server

        if self._server is not None:
            for name in self._server.databases():
                self._server.query("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
            if _state(self._server) != self._state:
                self._servers.close()
                self._server = None
        if self._server is None:
            self._server = self._servers.enter_context(temporary_server())
            self._state = _state(self._server)
        return self._server


def _state(server: "Server") -> str:
    """What an app could have changed on a server beside its databases: roles, settings, files, and shared objects."""
    return server.query("postgres", _STATE)[0]["state"]


_STATE = """
SELECT md5(string_agg(line, chr(10) ORDER BY line)) AS state FROM (
    SELECT concat_ws('|', 'role', rolname, rolsuper, rolcanlogin, rolpassword, rolvaliduntil) FROM pg_authid
    UNION ALL SELECT concat_ws('|', 'member', roleid, member) FROM pg_auth_members
    UNION ALL SELECT concat_ws('|', 'setting', name, setting) FROM pg_file_settings
    UNION ALL SELECT concat_ws('|', 'own setting', setdatabase, setrole, setconfig) FROM pg_db_role_setting
    UNION ALL SELECT concat_ws('|', 'database', datname, datacl, datallowconn, datconnlimit) FROM pg_database
    UNION ALL SELECT concat_ws('|', 'space', spcname) FROM pg_tablespace
    UNION ALL SELECT concat_ws('|', 'table', oid, relname) FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT concat_ws('|', 'function', oid, proname) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat_ws('|', 'trigger', oid, evtname) FROM pg_event_trigger
) AS lines (line)
"""
