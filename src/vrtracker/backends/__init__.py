"""What differs between the databases, each in its own module."""

from vrtracker.backends.base import Backend, Violation
from vrtracker.backends.registry import backend_for, parse_url, without_password

__all__ = ["Backend", "Violation", "backend_for", "parse_url", "without_password"]
