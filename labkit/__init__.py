"""labkit: takes a person from an empty machine to a finished hands-on lab."""

__version__ = "0.1.0"
