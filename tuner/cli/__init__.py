"""The command line: parse, call the API, print; one file per command."""

from tuner.cli.app import main

__all__ = ["main"]
