"""The checks' fixtures are in `scenes`, and in `quiz_scene` beside the exercises; `signalr_causes` knows causes."""

pytest_plugins = ["quiz_scene", "scenes", "signalr_causes"]
