"""Files of an app folder that somebody saves while the app runs."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import tree

if TYPE_CHECKING:
    from watchfiles import Change


@contextmanager
def watched(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Watch an app folder; the function tells the files saved, added or removed since it was last asked, as relative
    paths with forward slashes.
    """
    import watchfiles

    folder = folder.resolve()
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    stop = threading.Event()

    def is_apps(_: "Change", path: str) -> bool:
        parts = Path(path).relative_to(folder).parts if Path(path).is_relative_to(folder) else (".",)
        hidden = any(part.startswith(".") or part in tree.IGNORED_FOLDERS for part in parts)
        return not (hidden or parts[-1] in tree.IGNORED_FILES or parts[-1].endswith(tree.IGNORED_ENDINGS))

    def watch() -> None:
        # In milliseconds; it wakes up once a step.
        batches = watchfiles.watch(
            folder, watch_filter=is_apps, stop_event=stop, debounce=400, step=200, rust_timeout=500
        )
        for changes in batches:
            for path in sorted({path for _, path in changes}):
                found.put(Path(path).relative_to(folder).as_posix())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()

    def saved() -> list[str]:
        paths: list[str] = []
        while True:
            try:
                paths.append(found.get_nowait())
            except queue.Empty:
                return list(dict.fromkeys(paths))

    try:
        yield saved
    finally:
        stop.set()
        thread.join(timeout=2)
