"""The scripts of the official client that the library carries."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from asgi_signalr import client

FOLDER = Path(client.__file__).parent


def test_every_script_is_there_and_said_to_be_of_one_version() -> None:
    note = json.loads((FOLDER / "VERSION.json").read_text(encoding="utf-8"))
    assert client.version() == note["version"]
    assert sorted(name for package in note["packages"] for name in package["scripts"]) == sorted(client.SCRIPTS)
    assert sorted(path.name for path in FOLDER.glob("*.js")) == sorted(client.SCRIPTS)
    for name in ("signalr.js", "signalr-protocol-msgpack.js"):
        assert f"VERSION = '{note['version']}'".encode() in client.script(name).body.replace(b'"', b"'")


def test_whatever_a_script_contains_comes_with_its_licence() -> None:
    note = json.loads((FOLDER / "VERSION.json").read_text(encoding="utf-8"))
    assert [package["bundles"] for package in note["packages"]] == [[], ["@msgpack/msgpack: ISC (LICENSE.msgpack.txt)"]]
    assert (FOLDER / "LICENSE.msgpack.txt").read_text(encoding="utf-8").startswith("ISC License")
    assert (FOLDER / "LICENSE.txt").read_text(encoding="utf-8").startswith("The MIT License")


@pytest.mark.parametrize("name", client.SCRIPTS)
def test_a_script_is_known_by_its_bytes(name: str) -> None:
    script = client.script(name)
    assert script.body == (FOLDER / name).read_bytes()
    kind, _, digest = script.integrity.partition("-")
    assert (kind, base64.b64decode(digest)) == ("sha384", hashlib.sha384(script.body).digest())
    assert script.etag.strip('"') == hashlib.sha256(script.body).hexdigest()[:32]


def test_a_script_tag_pins_the_script() -> None:
    integrity = client.script("signalr.min.js").integrity
    assert client.script_tag('/a"b/signalr.min.js?v=1&w') == (
        f'<script src="/a&quot;b/signalr.min.js?v=1&amp;w" integrity="{integrity}" crossorigin="anonymous"></script>'
    )


@pytest.mark.parametrize("url", ["/signalr/jquery.js", "/signalr/", "", "/signalr/VERSION.json"])
def test_there_is_no_tag_for_another_script(url: str) -> None:
    with pytest.raises(LookupError, match=r"^'The client has no script|^The client has no script"):
        client.script_tag(url)
