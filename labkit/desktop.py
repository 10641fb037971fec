"""Whether there is a screen that a window could open on, and pages opened on it."""

import os
import subprocess
import sys
import webbrowser
from collections.abc import Sequence

from labkit import browser
from labkit.errors import LabError
from labkit.places import cache_folder

_WIDTH, _HEIGHT = 683, 740
"""Of a window, in pixels: two of them fit side by side on the smallest laptop."""


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
    """Each page in a window of its own: only a Chromium of the machine takes places from its command line."""
    try:
        program = browser.find(install=False, headless=False).executable
        profile = cache_folder() / "windows"
    except LabError:
        return False
    if program is None:
        return False
    for number, address in enumerate(addresses):
        # A profile for each: a browser that runs already would take the page into a window of its own choice.
        options = [
            f"--user-data-dir={profile / str(number + 1)}",
            "--no-first-run",
            "--no-default-browser-check",
            f"--window-position={number * _WIDTH},0",
            f"--window-size={_WIDTH},{_HEIGHT}",
        ]
        try:
            subprocess.Popen(
                [str(program), *options, address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=os.name != "nt",
            )
        except OSError:
            return False
    return True
