"""The command line: `asgi-signalr tail URL`, `decode`, `types` and `--version`, or `python -m asgi_signalr …`."""

import argparse
import asyncio
import os
import sys

from asgi_signalr import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="asgi-signalr", description="Tools for SignalR hubs on ASGI.")
    parser.add_argument("--version", action="version", version=f"asgi-signalr {__version__}", help="print it, then end")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    tail = commands.add_parser(
        "tail",
        help="show a backplane's messages as they arrive",
        description="Show the messages of a backplane, decoded: number, time, sender, and what was sent "
        "to whom. Ctrl-C ends it. Looking changes nothing; servers do not notice.",
    )
    tail.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        default=os.environ.get("ASGI_SIGNALR_BACKPLANE"),
        help="postgresql://USER:PASSWORD@HOST/DATABASE (without the password, PGPASSWORD in the environment is used), "
        "redis://, nats:// or sqlite:///; if left out, ASGI_SIGNALR_BACKPLANE in the environment",
    )
    tail.add_argument("--once", action="store_true", help="print what is there, then end")
    tail.add_argument(
        "-n",
        "--lines",
        type=int,
        metavar="N",
        help="begin with the last N messages (10; with --once: all)",
    )
    tail.add_argument(
        "--format", choices=["text", "json"], default="text", help="json: one document with --once, else one per line"
    )
    commands.add_parser(
        "decode",
        help="say what recorded WebSocket frames mean",
        description='Read a frame per line, {"text": "…"} or {"binary": "…"} in Base64; write a JSON list per line, '
        "what each of the frame's messages says.",
    )
    types = commands.add_parser(
        "types",
        help="write TypeScript types of the hubs of an application",
        description="Write TypeScript types of an application's hubs, so that a page's invoke, send, stream and on are "
        "checked: asgi-signalr types main:signalr > src/hubs.ts",
    )
    types.add_argument("application", metavar="MODULE:NAME", help="where the SignalR is, as for uvicorn: main:signalr")
    options = parser.parse_args(arguments)
    if options.command == "types":
        from asgi_signalr.typescript import main as write_types

        return write_types(options.application)
    if options.command == "decode":
        from asgi_signalr.decode import main as decode

        return decode()

    if options.url is None:
        tail.error("there is neither a URL nor ASGI_SIGNALR_BACKPLANE")
    from asgi_signalr.scaleout.tail import TailError, tail_messages

    try:
        asyncio.run(
            tail_messages(options.url, once=options.once, lines=options.lines, as_json=options.format == "json")
        )
    except TailError as error:
        sys.stderr.write(f"asgi-signalr tail: {error}\n")
        return 1
    except BrokenPipeError:  # the reader of a pipe has gone
        sys.stderr.close()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
