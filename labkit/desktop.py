"""Whether there is a screen that a window could open on."""

import os
import sys


def has_display() -> bool:
    """Whether a program that labkit starts can show a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opens_pages() -> bool:
    """Whether a page would open in a browser's window, and not in this very terminal."""
    return has_display() or any(os.environ.get(name) for name in ("WSL_DISTRO_NAME", "BROWSER"))
