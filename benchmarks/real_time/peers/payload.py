"""What every server of the benchmark sends: 256 bytes of JSON, with the one mark that the load generator counts."""

import json

MARK = "|"

NEWS = {"headline": "All servers send the same message", "mark": MARK, "text": ""}
NEWS["text"] = "x" * (256 - len(json.dumps(NEWS, separators=(",", ":"))))


def as_json() -> str:
    """Encode the message: each server does so once for each broadcast."""
    return json.dumps(NEWS, separators=(",", ":"))
