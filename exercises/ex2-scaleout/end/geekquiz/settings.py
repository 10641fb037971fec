"""Settings come from the environment, so that one folder serves as any number of instances."""

import os
import secrets

database_url = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///geekquiz.db")
database_server = os.environ.get("DATABASE_SERVER", "postgresql://127.0.0.1:5432")
hosts = os.environ.get("GEEKQUIZ_HOSTS", "localhost 127.0.0.1").split()

# Cookies ignore the port: instances that share their users need one name and one secret, strangers need their own.
cookie = os.environ.get("GEEKQUIZ_COOKIE", "geekquiz")
secret = os.environ.get("GEEKQUIZ_SECRET") or secrets.token_urlsafe(32)
os.umask(0o077)  # what the quiz writes is for nobody else on this machine
