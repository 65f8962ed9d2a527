"""Snapshots of databases as folders of files: published, listed, fetched, kept in a cache.

A bundle is ``NAME/`` with ``manifest.json``, ``lab.db`` and frames; beside the bundles of a folder
``index.json`` lists them. `manifest` says what both hold, `sources` reads them from a folder or by
HTTP, `cache` keeps what was fetched.
"""

from vrtracker.files.bundles.cache import Fetched, fetch, keep, logs_of
from vrtracker.files.bundles.manifest import (
    BundleFile,
    Manifest,
    check_name,
    listed,
    write_index,
)
from vrtracker.files.bundles.sources import Source, source_of, without_secrets

__all__ = [
    "DATABASE",
    "MANIFEST",
    "BundleFile",
    "Fetched",
    "Manifest",
    "Source",
    "check_name",
    "fetch",
    "keep",
    "listed",
    "logs_of",
    "source_of",
    "without_secrets",
    "write_index",
]
