"""Ask a registrar whether it can work at all, and have it work, whatever it does to the program."""

from __future__ import annotations

import os
import traceback

from vrtracker.domain.registrars import Job, Registrar, RegistrarResult
from vrtracker.errors import ConfigurationError, RegistrarError, VrtrackerError


def require_working(registrar: Registrar) -> None:
    """Refuse a registrar that would fail for every session; one without `check` is believed.

    Raises VrtrackerError as its `check` says; an error that is not ours becomes a
    ConfigurationError.
    """
    check = getattr(registrar, "check", None)
    if check is None:
        return
    try:
        check()
    except VrtrackerError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"The registrar {registrar.name!r} cannot work ({type(error).__name__}: {error}); "
            "mend that first. No session was touched."
        ) from error


def registered(registrar: Registrar, job: Job) -> RegistrarResult:
    """Do the work on a session and return what the registrar says of it.

    Raises RegistrarError if it would end the whole program, as `sys.exit` does: then it failed at
    this session. A child that it forked, and that comes back here as if it were the run, ends.
    """
    process_id = os.getpid()
    try:
        return registrar.register(job) or RegistrarResult()
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        what = traceback.format_exception_only(error)[-1].strip()
        raise RegistrarError(
            f"The registrar ended with {what}, which would end the whole program; raise an "
            "exception where something is wrong, and return where nothing is."
        ) from error
    finally:
        if os.getpid() != process_id:
            # What the run has open serves one process alone; nothing may tidy up here.
            os._exit(1)
