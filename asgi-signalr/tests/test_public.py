"""What the library offers, and how little it asks for."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import asgi_signalr
import pytest
from asgi_signalr.__main__ import main
from packaging.requirements import Requirement

LIBRARY = Path(__file__).parent.parent
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
    "HubInvocation",
    "HubProtocol",
    "InvalidDataError",
    "InvocationContext",
    "LifetimeContext",
    "Member",
    "OnGap",
    "PersistentConnection",
    "Presence",
    "PresenceEvent",
    "Receive",
    "Redirect",
    "Scope",
    "Send",
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


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    version = importlib.metadata.version("asgi-signalr")
    assert asgi_signalr.__version__ == version
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"asgi-signalr {version}\n")


def test_a_name_that_it_does_not_have_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match=r"^module 'asgi_signalr' has no attribute 'Hubb'$"):
        asgi_signalr.Hubb  # type: ignore[attr-defined]  # noqa: B018  (reading it is what is tested)


def test_only_the_adapter_holds_back_newer_versions_of_what_it_stands_on() -> None:
    project = tomllib.loads((LIBRARY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    needed = [Requirement(text) for text in texts]
    capped = {each.name for each in needed if any(part.operator in ("<", "<=", "==", "~=") for part in each.specifier)}
    assert capped == {"uvicorn", "websockets"}


def test_importing_it_imports_no_framework_and_no_driver() -> None:
    script = "import sys, asgi_signalr; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8").stdout
    assert {"asgi_signalr", "msgspec"} <= set(out.split())
    assert not {"starlette", "fastapi", "uvicorn", "asyncpg", "labkit", "pydantic"} & set(out.split())


def test_this_version_is_in_the_changelog() -> None:
    changelog = (LIBRARY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.*)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert versions[0] == importlib.metadata.version("asgi-signalr")
    assert set(re.findall(r"^### (.*)$", changelog, re.MULTILINE)) <= KINDS_OF_CHANGES
