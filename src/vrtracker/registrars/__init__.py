"""What "register a session" can mean: index its ALF files, run a command, call a function."""

from vrtracker.registrars.checking import registered, require_working
from vrtracker.registrars.loading import registrar_from
from vrtracker.registrars.time_limit import time_limited
from vrtracker.registrars.versions import version_of

__all__ = ["registered", "registrar_from", "require_working", "time_limited", "version_of"]
