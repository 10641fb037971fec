"""What the library offers, and how little it asks for."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import asgi_signalr

PUBLIC = [
    "Backplane",
    "BackplaneError",
    "ClientProxy",
    "ConnectionContext",
    "ConnectionProxy",
    "ConnectionSender",
    "Connections",
    "Deliver",
    "Depends",
    "GroupManager",
    "Hub",
    "HubCallerClients",
    "HubCallerContext",
    "HubClients",
    "HubContext",
    "HubException",
    "HubFilter",
    "HubProtocol",
    "InvalidDataError",
    "InvocationContext",
    "LifetimeContext",
    "Member",
    "OnGap",
    "PersistentConnection",
    "Presence",
    "PresenceEvent",
    "Redirect",
    "SignalR",
    "SingleClientProxy",
    "bearer_token",
    "hub_method",
    "open_backplane",
]

KINDS_OF_CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_public_names_are_these_and_all_there() -> None:
    assert asgi_signalr.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(asgi_signalr, name)] == []


def test_importing_it_imports_no_framework_and_no_driver() -> None:
    script = "import sys, asgi_signalr; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8").stdout
    assert {"asgi_signalr", "msgspec"} <= set(out.split())
    assert not {"starlette", "fastapi", "uvicorn", "asyncpg", "labkit", "pydantic"} & set(out.split())


def test_this_version_is_in_the_changelog() -> None:
    changelog = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.*)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert versions[0] == importlib.metadata.version("asgi-signalr")
    assert set(re.findall(r"^### (.*)$", changelog, re.MULTILINE)) <= KINDS_OF_CHANGES
