"""The two roles of a cluster of labkit's.

`labkit` is its superuser, and labkit's own: it makes databases, and connects to none that an app may write to. `app` is
the apps': it owns their databases, connects to no other, and has none of the rights that lead out of a database, to
files and programs. Earlier versions of labkit had only the first one; what apps have made as that is handed over.
"""

from collections.abc import Callable

USER = "labkit"
"""labkit's own role; it uses the database `postgres` only."""

APP = "app"
"""The role of the apps."""

RunSql = Callable[[str, str], list[str]]
"""Runs SQL as labkit's own role in a database, with the search path `pg_catalog`; gives the first value of each row."""


def admit(run: RunSql, password: str) -> None:
    """Make the apps' role, or mend what an app has changed of it, and give it the databases that it lacks.

    Args:
        run: runs SQL.
        password: of the apps' role; without quotes.

    """
    for database in run("postgres", _ADMIT.replace("PASSWORD_OF_APP", password)):
        run(database, _HAND_OVER)


_ADMIT = r"""
SELECT 'CREATE ROLE app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') \gexec
ALTER ROLE app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1
    PASSWORD 'PASSWORD_OF_APP' VALID UNTIL 'infinity';
ALTER ROLE app RESET ALL;
SELECT format('REVOKE %s FROM app', roleid::regrole) FROM pg_auth_members WHERE member = 'app'::regrole \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
SELECT datname FROM pg_database
WHERE datdba = 'labkit'::regrole AND datallowconn AND datname NOT IN ('postgres', 'template0', 'template1');
"""
"""Tells the databases that are not the apps' yet."""

_HAND_OVER = r"""
CREATE TEMPORARY VIEW of_apps AS SELECT oid AS namespace, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
CREATE TEMPORARY VIEW of_extensions AS SELECT classid, objid FROM pg_depend WHERE deptype = 'e';

SELECT format('ALTER SCHEMA %I OWNER TO app', nspname)
FROM pg_namespace JOIN of_apps USING (nspname) WHERE nspowner = 'labkit'::regrole \gexec

-- A sequence that belongs to a column follows its table.
SELECT format('ALTER %s %I.%I OWNER TO app', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
    WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname)
FROM pg_class c JOIN of_apps ON namespace = relnamespace
WHERE relowner = 'labkit'::regrole AND relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (SELECT FROM of_extensions WHERE classid = 'pg_class'::regclass AND objid = c.oid)
    AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'i'))) \gexec

SELECT format('ALTER ROUTINE %s OWNER TO app', p.oid::regprocedure)
FROM pg_proc p JOIN of_apps ON namespace = pronamespace
WHERE proowner = 'labkit'::regrole
    AND NOT EXISTS (SELECT FROM of_extensions WHERE classid = 'pg_proc'::regclass AND objid = p.oid) \gexec

SELECT format('ALTER TYPE %I.%I OWNER TO app', nspname, typname)
FROM pg_type t JOIN of_apps ON namespace = typnamespace LEFT JOIN pg_class c ON c.oid = typrelid
WHERE typowner = 'labkit'::regrole AND (typtype IN ('e', 'd', 'r') OR relkind = 'c')
    AND NOT EXISTS (SELECT FROM of_extensions WHERE classid = 'pg_type'::regclass AND objid = t.oid) \gexec

SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('ALTER DATABASE %I OWNER TO app', current_database()) \gexec
"""
"""Gives the apps' role what is in a database; the database itself at the end, so that a start that was interrupted is
followed by one that repeats this."""
