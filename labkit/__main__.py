"""The `labkit` command."""

import io
import os
import sys


def main() -> None:
    """Run the command line; `--version` and `status` are answered before anything heavy is imported."""
    try:
        _put_last()
        _forget_no_size()
        _open_streams()
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:  # while the command is still being loaded, or says its last word
        _say("Interrupted.")
        code = 130
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
        _discard_output()
        code = 3 if sys.argv[1:2] == ["verify"] else 0  # a verdict that nobody has heard is not a good one
    except OSError as error:  # what was said could not be written
        _discard_output()
        _say(f"Cannot write the output: {error.strerror or error}.\nnext: Free some disk space, or send it elsewhere.")
        code = 3
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--plain"]:
        os.environ["LABKIT_PLAIN"] = "1"
        arguments = arguments[1:]
    if os.environ.get("LABKIT_PLAIN"):
        os.environ.setdefault("TYPER_USE_RICH", "0")  # which Typer asks when it is imported
    if arguments in (["--version"], ["-V"]):
        from labkit import __version__

        sys.stdout.write(f"labkit {__version__}\n")
        return 0
    if arguments == ["status"]:
        from labkit import status

        try:
            line = status.line(os.getcwd())  # noqa: PTH109  (the import of pathlib would take longer)
        except FileNotFoundError:
            line = None  # as every command, it then says that the folder is gone
        if line is not None:
            sys.stdout.write(f"{line}\n")
            return 0
    from labkit import signals

    signals.take()
    from labkit.cli import run

    return run(arguments)


def _put_last() -> None:
    """Search PYTHONPATH, and the current folder that `python -m` puts first, after labkit's own packages.

    Set for something else, they would shadow what labkit is made of: an old `rich`, a trainee's `random.py`.
    """
    foreign = {each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each} | {""}
    try:
        here = os.getcwd()  # noqa: PTH109  (the import of pathlib would take longer)
    except OSError:  # it has been removed
        here = ""
    # Python makes what PYTHONPATH names absolute.
    foreign |= {here, *(os.path.join(here, each) for each in foreign)}  # noqa: PTH118  (as above)
    sys.path.sort(key=lambda each: each in foreign)


def _forget_no_size() -> None:
    """Forget a terminal of no columns or lines, as some programs and containers tell of: all would be left out."""
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name) == "0":
            del os.environ[name]


def _open_streams() -> None:
    """Let stdout and stderr take all that labkit says, in place of a fault for what their encoding does not have.

    A terminal and `PYTHONIOENCODING` decide on the encoding; elsewhere it is UTF-8, also on Windows. A stream that is
    closed (`>&-`) is nowhere.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # It stays open until the end; pathlib would cost `--version` its import.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (open as long as the process lives)
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            decided = stream.isatty() or os.environ.get("PYTHONIOENCODING")
            stream.reconfigure(encoding=None if decided else "utf-8", errors="replace")


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        pass


def _discard_output() -> None:
    """Forget what could not be written, so that Python does not try it again when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    main()
