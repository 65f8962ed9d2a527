"""Ask a registrar, before anything is claimed, whether it can work at all."""

from __future__ import annotations

from vrtracker.domain.registrars import Registrar
from vrtracker.errors import ConfigurationError, VrtrackerError


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
