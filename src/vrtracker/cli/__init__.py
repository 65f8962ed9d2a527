"""The shell: thin commands over the tracker."""

from __future__ import annotations

import os
import sys

from vrtracker.cli import collecting

__all__ = ["main"]


def main() -> None:
    """Run the command line that this process was started with."""
    collecting.begin()
    # Here and in the workers that a command starts; `backends.access.jvm` reads it.
    os.environ.setdefault("VRTRACKER_JAVA_BRIEF", "1")
    from vrtracker.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # A letter that the terminal's encoding lacks must not end a command halfway.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    finally:
        _flush()


def _flush() -> None:
    """Write what is left, or drop it where the reader (``head``) has gone away."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
