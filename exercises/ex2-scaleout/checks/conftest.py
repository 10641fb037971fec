"""The checks' fixtures are in `scenes`, and in `quiz_scene` beside the exercises."""

pytest_plugins = ["quiz_scene", "scenes"]
