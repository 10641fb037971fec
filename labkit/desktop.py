"""Whether there is a screen that a window could open on, and pages opened on it."""

import json
import os
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from urllib.parse import quote

from labkit import browser
from labkit.errors import LabError
from labkit.places import cache_folder

_WIDTH, _HEIGHT, _EDGE = 673, 740, 20
"""Of a window, in pixels, and between two: they fit side by side on the smallest laptop."""


def has_display() -> bool:
    """Whether a program that labkit starts can show a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opens_pages() -> bool:
    """Whether a page would open in a browser's window, and not in this very terminal."""
    return has_display() or any(os.environ.get(name) for name in ("WSL_DISTRO_NAME", "BROWSER"))


def open_pages(addresses: Sequence[str]) -> bool:
    """Open each page in the person's browser; two in windows side by side, where that browser can be told to.

    False if no browser could be opened.
    """
    if len(addresses) == 2 and not os.environ.get("BROWSER") and has_display() and _side_by_side(addresses):
        return True
    return all(webbrowser.open(address) for address in addresses)


def _side_by_side(addresses: Sequence[str]) -> bool:
    """Both pages in windows of one browser, so that who logs in on one is logged in on the other."""
    try:
        program = browser.find(install=False, headless=False).executable
        profile = cache_folder() / "windows"
    except LabError:
        return False
    if program is None:
        return False
    command = [
        str(program),
        # Not the person's own profile: a browser that runs already would take the pages into windows of its choice.
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-popup-blocking",
        f"--window-size={_WIDTH},{_HEIGHT}",
        "--new-window",
        _opening(*addresses),
    ]
    try:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name != "nt",
        )
    except OSError:
        return False
    return True


def _opening(left: str, right: str) -> str:
    """The address of a page that opens the second one beside itself, and turns into the first one.

    A command line can say where a browser's first window is, and no other.
    """
    place = f"popup,left={_WIDTH + _EDGE},top=0,width={_WIDTH},height={_HEIGHT}"
    script = f"open({json.dumps(right)}, '', {json.dumps(place)}); location.replace({json.dumps(left)})"
    return f"data:text/html,{quote(f'<script>{script}</script>')}"
