"""The `labkit` command."""

import sys


def main() -> None:
    """Run the command line; `--version` is answered before anything heavy is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from labkit import __version__

        sys.stdout.write(f"labkit {__version__}\n")
        return
    try:
        from labkit.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the command is still being loaded, or says its last word
        sys.stderr.write("Interrupted.\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
