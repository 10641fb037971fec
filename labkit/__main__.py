"""The `labkit` command."""

import sys


def main() -> None:
    """Run the command line; `--version` is answered before anything heavy is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from labkit import __version__

        sys.stdout.write(f"labkit {__version__}\n")
        return
    from labkit.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
