"""The shell: thin commands over the tracker."""

from __future__ import annotations

import os
import sys

from vrtracker.cli import collecting

__all__ = ["main"]


def main() -> None:
    """Run the command line that this process was started with."""
    collecting.begin()
    _fill_closed_streams()
    # Here and in the workers that a command starts; `backends.access.jvm` reads it.
    os.environ.setdefault("VRTRACKER_JAVA_BRIEF", "1")
    try:
        from vrtracker.cli.app import app
        from vrtracker.cli.output import Output
    except KeyboardInterrupt:
        os.write(2, b"error: interrupted.\n")
        sys.exit(130)
    # A letter that the terminal's encoding lacks must not end a command halfway.
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.stdout = Output.in_place_of(sys.stdout)
    app()


def _fill_closed_streams() -> None:
    """Lead streams that were closed nowhere: the next file, a database, would take their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
