"""The role of apps in labkit's PostgreSQL: what it can do there, what it cannot, and how older data folders get it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import LabError, MachineError
from labkit.services.postgres import tables
from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.lab_server import LabServer
from labkit.services.postgres.server import Server, Unusable, without_password


@pytest.fixture(scope="session")
def own(postgres_server: Server) -> str:
    """A database that was made for an app."""
    postgres_server.create_database("of_an_app")
    return "of_an_app"


@pytest.fixture
def lab_home() -> Iterator[Path]:
    """A folder for a lab's own server that every account may enter."""
    with tempfile.TemporaryDirectory(prefix="labkit-tests-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name) / "postgres"
        LabServer(Path(name) / "postgres").stop()


def test_an_app_does_in_its_database_whatever_an_app_does(postgres_server: Server, own: str) -> None:
    did = postgres_server.query(
        own,
        "CREATE SCHEMA shop; CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tea text);"
        "CREATE TABLE pots (id int); CREATE INDEX ON pots (id); CREATE TYPE mood AS ENUM ('calm'); "
        "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'; CREATE TEMPORARY TABLE short (id int);"
        "INSERT INTO shop.orders (tea) VALUES ('green'); DO 'BEGIN PERFORM pg_advisory_lock(1); END';"
        f"ALTER DATABASE {own} SET lock_timeout = '5s'; TRUNCATE pots; "
        "SELECT current_user AS role, twice(21) AS number, (SELECT count(*) FROM shop.orders) AS orders",
    )
    assert did == [{"role": "app", "number": "42", "orders": "1"}]
    assert postgres_server.can_listen(own)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 'x') TO PROGRAM 'cat > {outside}/made'",
        "CREATE TABLE found (line text); COPY found FROM PROGRAM 'id'",
        "COPY (SELECT 'x') TO '{outside}/made'",
        "CREATE TABLE found (line text); COPY found FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('postmaster.pid')",
        "SELECT pg_ls_dir('.')",
        "SELECT pg_stat_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(lo_from_bytea(0, 'x'), '{outside}/made')",
        "CREATE EXTENSION plpython3u",
        "CREATE EXTENSION plperlu",
        "CREATE EXTENSION file_fdw",
        "CREATE EXTENSION vector",
        "CREATE FUNCTION outwards(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
        "CREATE FUNCTION outwards(text) RETURNS text LANGUAGE internal AS 'pg_read_file'",
        "LOAD '{outside}/made.so'",
        "SET session_preload_libraries = '{outside}/made'",
        "SET dynamic_library_path = '{outside}'",
        "ALTER SYSTEM SET archive_command = 'touch {outside}/made'",
        "SELECT pg_reload_conf()",
        "ALTER ROLE app SUPERUSER",
        "ALTER ROLE labkit PASSWORD 'x'",
        "ALTER ROLE labkit SET search_path = evil",
        "CREATE ROLE friend SUPERUSER LOGIN",
        "GRANT labkit TO app",
        "GRANT pg_execute_server_program TO app",
        "SET ROLE labkit",
        "SET SESSION AUTHORIZATION labkit",
        "SELECT rolpassword FROM pg_authid",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'labkit'",
        "CREATE DATABASE another",
        "DROP DATABASE template1",
        "ALTER DATABASE postgres SET search_path = evil",
        "CREATE TABLESPACE elsewhere LOCATION '{outside}'",
        "CREATE EVENT TRIGGER watching ON login EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE SUBSCRIPTION outwards CONNECTION 'host=127.0.0.1' PUBLICATION p",
        "CREATE FOREIGN DATA WRAPPER outwards",
        "SELECT pg_create_physical_replication_slot('kept')",
        "UPDATE pg_database SET datallowconn = true",
    ],
)
def test_nothing_leads_out_of_the_database(postgres_server: Server, own: str, tmp_path: Path, sql: str) -> None:
    tmp_path.chmod(0o777)
    statements = sql.replace("{outside}", str(tmp_path))
    refused = (
        "permission denied|must be superuser|Only roles with|only superusers|is not (?:available|allowed)|must be owner"
    )
    with pytest.raises(LabError, match=f"(?i){refused}"):
        postgres_server.query(own, f"BEGIN; {statements}" if "CREATE TABLE found" in sql else statements)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database", ["postgres", "template0", "template1", "of_somebody_else"])
def test_an_app_connects_to_no_other_database(postgres_server: Server, own: str, database: str) -> None:
    if database == "of_somebody_else":
        postgres_server.query("postgres", f"CREATE DATABASE {database}")
        postgres_server.query("postgres", f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    app = Server(postgres_server.url)  # with no role but the app's
    assert app.query(own, "SELECT current_user AS role") == [{"role": "app"}]
    with pytest.raises(MachineError, match=r"permission denied for database|not currently accepting connections"):
        app.query(database, "SELECT 1")


def test_an_app_does_not_get_in_as_labkit(postgres_server: Server, own: str) -> None:
    password = postgres_server.url.partition("app:")[2].partition("@")[0]
    address = without_password(postgres_server.url)
    for stranger in (
        address.replace("app@", "labkit@"),
        address.replace("app@", "labkit:@"),
        address.replace("app@", f"labkit:{password}@"),
    ):
        with pytest.raises(MachineError, match=r"no password supplied|password authentication failed"):
            Server(stranger).query(own, "SELECT 1")


def test_what_an_app_leaves_in_its_database_runs_with_its_own_rights(postgres_server: Server) -> None:
    postgres_server.create_database("laid_out")
    postgres_server.query(
        "laid_out",
        "CREATE TABLE orders (id int); CREATE SCHEMA evil; CREATE TABLE evil.seen (role text);"
        "CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO evil.seen VALUES (current_user); RETURN 'x'; END $$;"
        "CREATE FUNCTION evil.format(text, name, name) RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO evil.seen VALUES (current_user); RETURN 'x'; END $$;"
        "ALTER DATABASE laid_out SET search_path = evil, pg_catalog",
    )
    assert [each.name for each in tables.tables(postgres_server, "laid_out")] == ["evil.seen", "public.orders"]
    assert postgres_server.query("laid_out", "SELECT role FROM evil.seen WHERE role <> 'app'") == []


@pytest.mark.slow
def test_a_data_folder_of_an_earlier_version_is_handed_over(lab_home: Path) -> None:
    lab_home.mkdir()
    cluster = Cluster(lab_home, temporary=False)
    cluster.create()
    cluster.start()  # as a version did whose only role was the superuser
    before = Server(cluster.url)
    before.create_database("signalr")
    before.query(
        "signalr",
        "CREATE SCHEMA signalr; CREATE TABLE signalr.messages (id bigserial PRIMARY KEY, said text); "
        "CREATE VIEW signalr.newest AS SELECT max(id) FROM signalr.messages; CREATE TYPE mood AS ENUM ('calm');"
        "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'; "
        "INSERT INTO signalr.messages (said) VALUES ('kept')",
    )
    with LabServer(lab_home).running() as server:  # it runs already: `labkit db start` of that version
        changed = server.query(
            "signalr",
            "INSERT INTO signalr.messages (said) VALUES ('new'); ALTER TABLE signalr.messages ADD COLUMN at int; "
            "CREATE OR REPLACE VIEW signalr.newest AS SELECT max(id) FROM signalr.messages; DROP TYPE mood; "
            "CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; "
            "CREATE TABLE signalr.more (id int); CREATE TABLE mine (id int); "
            "SELECT current_user AS role, string_agg(said, ',' ORDER BY id) AS said FROM signalr.messages",
        )
        assert changed == [{"role": "app", "said": "kept,new"}]
        with pytest.raises(LabError, match="permission denied"):
            server.query("signalr", "COPY (SELECT 1) TO PROGRAM 'true'")
    with LabServer(lab_home).running() as server:
        assert server.databases() == ["signalr"]


def test_an_app_that_locks_itself_out_is_let_in_by_the_next_start(lab_home: Path) -> None:
    lab = LabServer(lab_home)
    with lab.running() as server:
        server.create_database("mine")
        server.query("mine", "ALTER ROLE app SET default_transaction_read_only = on; ALTER ROLE app PASSWORD 'gone'")
        with pytest.raises(Unusable, match="password authentication failed"):
            server.query("mine", "SELECT 1")
    with lab.running() as server:
        assert server.query("mine", "CREATE TABLE again (id int); SELECT current_user AS role") == [{"role": "app"}]
