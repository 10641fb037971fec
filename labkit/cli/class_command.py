"""The commands of `labkit class`: a board of everybody's progress, live."""

import contextlib
import json
import socket
import ssl
import tempfile
import urllib.error
import urllib.request
import webbrowser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from labkit import documents
from labkit.cli import show
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import err, out
from labkit.desktop import opens_pages
from labkit.errors import ExitCode, UsageError
from labkit.files import write_whole
from labkit.lab import find_lab

commands = typer.Typer(
    no_args_is_help=True, help="A class at work: a board that shows, live, how far everybody is, and how to join it."
)


@commands.command("open")
def open_(
    port: Annotated[int | None, typer.Option("--port", help="The board's port; a free one if left out.")] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 is this machine only.")
    ] = "0.0.0.0",  # noqa: S104  (trainees are on other machines)
    host_name: Annotated[
        str | None, typer.Option("--host-name", metavar="NAME", help="The name by which trainees reach this machine.")
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=72, help="How long the join code is valid.")] = 8,
    certificate: Annotated[
        Path | None, typer.Option("--cert", metavar="FILE", help="A certificate, for https; with --key.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The certificate's key.")] = None,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Show numbers alone, also of trainees who give a name.")
    ] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="https by a certificate that labkit makes now; the join code vouches for it.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FILE", help="Write the board into FILE when it is closed.")
    ] = None,
    open_page: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page in your browser; the default on a terminal.")
    ] = None,
    lab: LabOption = None,
) -> int:
    """Open a board for the class, until `labkit class close` or Ctrl-C; it keeps nothing then.

    The page is made for a projector: each trainee with the state of each task, who has raised a hand, and who has
    failed at the same check for ten minutes. Trainees type the line that stands above it. A name is theirs to give;
    without one they have a number. Failures and code that they send are there at the press of a button, for your eyes.

    With --tls nobody can read or change on the way what trainees send. Your own browser does not know the certificate,
    and asks you once.
    """
    from labkit.classroom import certificate as certificates
    from labkit.classroom.board import Board
    from labkit.classroom.room import Room
    from labkit.live import gate, keys, server

    if bool(certificate) != bool(key_file):
        raise UsageError("--cert and --key go together.", "labkit class open --cert FILE --key FILE")
    if tls and certificate:
        raise UsageError("--tls makes a certificate, --cert names one.", "Leave one of them out.")
    the_lab = find_lab(lab)
    key = keys.read("class", Path.cwd())
    listener = server.listen(port, preferred=key.port, host=host)
    own_port = int(listener.getsockname()[1])
    keys.keep("class", Path.cwd(), keys.Key(key.token, own_port))
    scheme = "https" if certificate or tls else "http"
    name = host_name or (_own_address() if host == "0.0.0.0" else host)  # noqa: S104  (a comparison)
    room = Room(the_lab, datetime.now().astimezone() + timedelta(hours=hours))
    own = contextlib.ExitStack()
    names = tuple({f"{each}:{own_port}" for each in (name, host, socket.gethostname())})
    fingerprint = ""
    if tls:
        folder = Path(own.enter_context(tempfile.TemporaryDirectory(prefix="labkit-")))
        hosts = (name, "127.0.0.1", "localhost", socket.gethostname())
        certificate, key_file, fingerprint = certificates.make(folder, hosts)
    board = Board(room, key.token, f"{scheme}://{name}:{own_port}", fingerprint, names=not numbers)
    address = gate.address(own_port, key.token).replace("http://", f"{scheme}://", 1)

    def on_ready() -> None:
        say(f"[bold]{escape(the_lab.title)}[/]: the board")
        say(f"  {escape(address)}")
        say("[dim]Only you are to have this address. Trainees type in their workspace:[/]")
        say(f"  labkit class join {scheme}://{name}:{own_port} {board.invite(room.code)}")
        say("[dim]Ctrl-C, or `labkit class close` in this folder, ends it.[/]")
        wants = out.is_terminal if open_page is None else open_page
        if wants and not (opens_pages() and webbrowser.open(address)):
            err.print("No browser could be opened: open the address yourself.")

    files = (certificate, key_file) if certificate and key_file else None
    with own:
        server.serve(board.app(own_port, names), listener, on_ready, files)
    if keep:
        write_whole(keep, documents.json_of(board.to_json()))
        say(f"Kept in {escape(str(keep))}.")
    say("The class is closed: nothing of it is left." if not keep else "The class is closed.")
    return ExitCode.OK


@commands.command()
def join(
    url: Annotated[str, typer.Argument(metavar="URL", help="The board's address.", show_default=False)],
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="The join code, as the board shows it.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Your name on the board; without it you are a number.")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Send your code as well: the lines that differ from the lab's begin.")
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="The certificate that vouches for an https board, as PEM."),
    ] = None,
    lab: LabOption = None,
) -> int:
    """Join a class from your workspace: the board sees each verdict of yours, until you press Ctrl-C.

    What is sent: the ids of tasks and checks, their verdicts, when they were found, whether your hand is up, what
    `labkit class send` sends, and your name if you give one. No code unless you say --share, no file, and nothing to
    anybody else. Lost the network? It goes on by itself.
    """
    from labkit.classroom import joining

    _, exercise, here = show.subject(lab, None)
    invitation = joining.Invitation(url, code, ca)
    sent = ["ids of tasks and checks", "verdicts and their times", "a raised hand", "what `labkit class send` sends"]
    sent += ["your name"] if name else []
    sent += ["your code: the lines that differ from the lab's begin, at each verdict"] if share else []
    say(f"What is sent to {escape(invitation.url)}, and nowhere else:")
    for each in sent:
        say(f"  {each}")
    say(f"{'' if share else 'No code is sent. '}Leave this running, and verify in another terminal.")
    say("Ctrl-C leaves the class.")
    with contextlib.suppress(KeyboardInterrupt):
        joining.join(
            invitation, joining.Sender(here, code, name, exercise if share else None), lambda line: say(escape(line))
        )
    say("You have left the class.")
    return ExitCode.OK


@commands.command()
def hand(
    down: Annotated[bool, typer.Option("--down", help="Take it down again.")] = False,
    lab: LabOption = None,
) -> None:
    """Raise your hand: the board shows it, as long as `labkit class join` runs."""
    from labkit.classroom import joining

    _, _, here = show.subject(lab, None)
    joining.hand(here, not down)
    say("Your hand is down." if down else "Your hand is up.")
    if not down:
        say_next("labkit class hand --down")


@commands.command()
def send(
    back: Annotated[bool, typer.Option("--take-back", help="Take back what was sent.")] = False,
    lab: LabOption = None,
) -> None:
    """Send your failure to the instructor: what the first check that fails expected, what it saw, where, and why.

    It shows exactly the text that is sent. The board has it as long as `labkit class join` runs; only the instructor
    opens it.
    """
    from labkit.classroom import joining

    _, _, here = show.subject(lab, None)
    text = None if back else joining.failure(here)
    if text is None and not back:
        raise UsageError("There is no failure to send: the last verdict has none.", "labkit verify")
    joining.send(here, text)
    if text is None:
        say("Taken back.")
        return
    say("This is sent to the board, as long as `labkit class join` runs:")
    for line in text.splitlines():
        say(f"  {escape(line)}")
    say_next("labkit class send --take-back")


@commands.command()
def remove(
    who: Annotated[str, typer.Argument(metavar="WHO", help="The number or the name.", show_default=False)],
) -> None:
    """Delete a trainee from the board, with all that it knows; in the folder where the board was opened."""
    said = _ask_board("remove", {"who": who})
    say(f"Number {said['number']} is deleted.")


@commands.command()
def close() -> None:
    """Close the board; in the folder where it was opened."""
    said = _ask_board("close", {})
    count = said["trainees"]
    say(f"The class of {count} trainee{'' if count == 1 else 's'} is closed.")


def _own_address() -> str:
    """The address of this machine in its network; nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # an address for documentation
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _ask_board(action: str, document: dict[str, Any]) -> dict[str, Any]:
    """Ask the board that was opened in this folder."""
    from labkit.live import keys

    key = keys.read("class", Path.cwd())
    for scheme in ("http", "https") if key.port else ():
        request = urllib.request.Request(  # noqa: S310  (this machine)
            f"{scheme}://127.0.0.1:{key.port}/api/{action}",
            json.dumps(document).encode(),
            {"Authorization": f"Bearer {key.token}", "Content-Type": "application/json"},
        )
        # A certificate is made for the name that trainees use, not for this machine's own address.
        context = ssl._create_unverified_context() if scheme == "https" else None  # noqa: S323  (this machine)
        try:
            # Whatever proxy the machine has, it does not lead to the machine itself.
            handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
            with urllib.request.build_opener(*handlers).open(request, timeout=10) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            said = json.load(error)["error"]
            raise UsageError(said["message"], said.get("next")) from error
        except (OSError, ValueError):
            continue
    raise UsageError("No board is open that was opened in this folder.", "labkit class open")
