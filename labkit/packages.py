"""Repacks installed distributions into wheels, so that a workspace's `uv run` finds them without any index."""

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from labkit.errors import MachineError

_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json", "WHEEL"}
"""Files of a dist-info folder that describe the installation, not the distribution; WHEEL and RECORD are rewritten."""


def wheel(name: str) -> tuple[str, bytes]:
    """The installed distribution as a wheel: its file name and content, the same bytes for the same files."""
    distribution = installed(name)
    stem = f"{re.sub(r'[-_.]+', '_', name).lower()}-{distribution.version}"
    about = distribution.read_text("WHEEL") or "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = dict(_code(distribution, name))
    members |= {f"{stem}.dist-info/{path}": content for path, content in _metadata(distribution)}
    members[f"{stem}.dist-info/WHEEL"] = about.encode()
    return f"{stem}-{_tag(about)}.whl", _zip(members, f"{stem}.dist-info/RECORD")


def installed(name: str) -> importlib.metadata.Distribution:
    """The distribution as it is installed.

    Raises MachineError if it is not.
    """
    # In the current folder, python -m may find what an earlier build has left (egg-info): that is installed nowhere.
    found = importlib.metadata.distributions(name=name)
    distribution = next((each for each in found if each.read_text("METADATA") is not None), None)
    if distribution is None:
        raise MachineError(
            f"The package {name} is not installed beside labkit.", "Install labkit afresh; its README says how."
        )
    return distribution


def _code(distribution: importlib.metadata.Distribution, name: str) -> Iterator[tuple[str, bytes]]:
    """The importable files: from the folder of an editable installation, else from the list of installed files."""
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        listed = (distribution.read_text("top_level.txt") or name.replace("-", "_")).split()
        for module in listed:
            yield from _module(module)
        return
    for file in distribution.files or ():
        outside = ".." in file.parts or ".dist-info" in file.parts[0] or file.suffix in (".pyc", ".pth")
        if not outside:
            yield file.as_posix(), Path(str(file.locate())).read_bytes()


def _module(name: str) -> Iterator[tuple[str, bytes]]:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise MachineError(f"The package {name} cannot be imported.", "Install labkit afresh; its README says how.")
    for folder in map(Path, spec.submodule_search_locations or ()):
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()
    if not spec.submodule_search_locations and spec.origin:
        yield Path(spec.origin).name, Path(spec.origin).read_bytes()


def _metadata(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    for file in distribution.files or ():
        inside = ".dist-info" in file.parts[0] and file.parts[0] != ".." and file.name not in _LEFT_OUT
        if inside:
            yield "/".join(file.parts[1:]), Path(str(file.locate())).read_bytes()


def _tag(about: str) -> str:
    tags = [line.removeprefix("Tag: ").strip().split("-") for line in about.splitlines() if line.startswith("Tag: ")]
    return "-".join(".".join(dict.fromkeys(column)) for column in zip(*tags, strict=True)) or "py3-none-any"


def _zip(members: dict[str, bytes], record: str) -> bytes:
    rows = []
    for path, content in sorted(members.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(content)}")
    rows.append(f"{record},,")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in [*sorted(members.items()), (record, ("\n".join(rows) + "\n").encode())]:
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
