"""Build the API reference from the docstrings, as HTML: `index.html` in the folder.

    uv run python asgi-signalr/tools/build_reference.py [FOLDER]

Needs pdoc, from the development group. A docstring or an annotation that pdoc does not understand is an error.
"""

import argparse
import warnings
from importlib.metadata import version
from pathlib import Path

import pdoc

LIBRARY = Path(__file__).parent.parent
MODULES = (
    "asgi_signalr",
    "asgi_signalr.backplanes",
    "!asgi_signalr.backplanes.postgres_schema",
    "asgi_signalr.clients",
    "asgi_signalr.context",
    "asgi_signalr.dependencies",
    "asgi_signalr.errors",
    "asgi_signalr.filters",
    "asgi_signalr.messages",
    "asgi_signalr.metrics",
    "asgi_signalr.options",
    "asgi_signalr.persistent",
    "asgi_signalr.presence",
    "asgi_signalr.protocols",
    "!asgi_signalr.protocols.encodings",
    "asgi_signalr.servers",
    "asgi_signalr.status",
    "asgi_signalr.testing",
    "asgi_signalr.testing.base",
    "asgi_signalr.users",
)


def build(folder: Path) -> None:
    """Write the reference into a folder.

    Raises:
        UserWarning: something in it cannot be read.

    """
    pdoc.render.configure(
        docformat="google", footer_text=f"asgi-signalr {version('asgi-signalr')}", show_source=False, search=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What is private is not shown, so it does not matter how it is annotated.
        warnings.filterwarnings("ignore", r"Error parsing type annotation .* for [\w.]+\._\w+\.")
        # Before Python 3.12 a TypedDict does not tell which of its keys it inherits.
        warnings.filterwarnings("ignore", r"Cannot determine where [\w.]+Options\.\w+ is taken from")
        pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=LIBRARY / "build" / "reference")
    build(parser.parse_args().folder)
