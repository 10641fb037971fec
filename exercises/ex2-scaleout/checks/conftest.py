"""The checks' fixtures are in this folder, and in `quiz_scene` beside the exercises; `signalr_causes` knows causes."""

import sys
from pathlib import Path

# Where labkit finds them as well: so that pytest alone, or an editor, can list the checks.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]

pytest_plugins = ["quiz_scene", "relay_scene", "signalr_causes"]
