"""The Java libraries behind Access on Linux and macOS: pinned, verified and cached.

The list is complete and fixed by SHA-256, so no dependency is resolved at run time. What
the resolver would add to it (POI and its helpers, netty, mockito) is never loaded here.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from vrtracker.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    MissingDependencyError,
)

EXTRA = "java" if sys.platform == "win32" else "access"
"""What brings Java; on Windows `access` brings Microsoft's driver alone."""
FOLDER_VARIABLE = "VRTRACKER_ACCESS_JARS"
DOWNLOAD_TIMEOUT_S = 60

Progress = Callable[[int, int, str], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Jar:
    """One library by its Maven coordinates; `sha256` is that of the released file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file in the cache and in a configured folder."""
        return f"{self.artifact}-{self.version}.jar"


_ARROW = "org.apache.arrow"
_JACKSON = "com.fasterxml.jackson.core"
JARS: tuple[Jar, ...] = (
    Jar(
        "io.github.spannm",
        "ucanaccess",
        "5.1.5",
        "c20424d056cbff4507dfcd836f5f50d88fd26933790aeee1048ab3bbeda281ba",
    ),
    Jar(
        "io.github.spannm",
        "jackcess",
        "5.1.2",
        "526ddd5e656ae89b1e35075f994ac35e134fd3e4f6faad7322b415a6a3ff1d73",
    ),
    Jar(
        "org.hsqldb",
        "hsqldb",
        "2.7.4",
        "5fab2bb4384ac06b762638c8fa2740c944b8d080e4796c0c6c2af8b90dd4e5ad",
    ),
    Jar(
        _ARROW,
        "arrow-jdbc",
        "18.3.0",
        "66de5103a7b1f302bd515ebaf0d503c16804dac8b96f39cb9cdcc9f4dae2648f",
    ),
    Jar(
        _ARROW,
        "arrow-c-data",
        "18.3.0",
        "cffe1680b305cb4e622b154b1cb48e972ef705ce3bd2d0926d5b3e41c013af48",
    ),
    Jar(
        _ARROW,
        "arrow-memory-core",
        "18.3.0",
        "32ed0719bf2ba42becc3a88c95722851cf1bb88b37d06c95654a1152bed6ef2e",
    ),
    Jar(
        _ARROW,
        "arrow-memory-unsafe",
        "18.3.0",
        "e9652f322d7be306c400ea0d775b3114a11b48d2afe23e8b8566f13c469d5483",
    ),
    Jar(
        _ARROW,
        "arrow-vector",
        "18.3.0",
        "b37eda92daccaffc12abf5ed425db1d0bdb3edea150a6ca856f1cf4292442299",
    ),
    Jar(
        _ARROW,
        "arrow-format",
        "18.3.0",
        "728297d7757d192053ce071cc59e76c8a03ff4f5e430177fa97e96b29dd2de1b",
    ),
    Jar(
        "com.google.flatbuffers",
        "flatbuffers-java",
        "25.2.10",
        "587bd6c31cda747587493a113bec8602d3a0b0ca579b2b1b838ef71b19e6525d",
    ),
    Jar(
        _JACKSON,
        "jackson-core",
        "2.18.3",
        "056bc4d3e5e53ce821450fa97b3f9e0f8dde125cf6da6884353bb1f09582e1d9",
    ),
    Jar(
        _JACKSON,
        "jackson-annotations",
        "2.18.3",
        "8aa5740d80b5a5025508b41bbadbaa1fb3772267c628b2e30681a4f45f8b8931",
    ),
    Jar(
        _JACKSON,
        "jackson-databind",
        "2.18.3",
        "510bdda75a7a6186c5bf33b851239488a1450906ae5757121f2e1cc48a7e108f",
    ),
    Jar(
        "org.slf4j",
        "slf4j-api",
        "2.0.17",
        "7b751d952061954d5abfed7181c1f645d336091b679891591d63329c622eb832",
    ),
)


def cache_folder() -> Path:
    """Return the folder of the user's cache that keeps the libraries."""
    return user_cache_path("vrtracker", appauthor=False) / "access-jars"


def locate(*, progress: Progress | None = None) -> list[Path]:
    """Return the verified files for the class path, fetching what is missing.

    With ``VRTRACKER_ACCESS_JARS`` set, that folder alone is used and nothing is fetched.

    Raises ConfigurationError if the configured folder lacks a file, or holds one with another
    content. Raises DatabaseUnavailableError if a file could not be fetched, or what arrived is not
    the pinned release.
    """
    configured = os.environ.get(FOLDER_VARIABLE)
    if configured:
        return _from_folder(Path(configured).expanduser())
    return install(progress=progress)


def install(*, progress: Progress | None = None, folder: Path | None = None) -> list[Path]:
    """Fetch the libraries that `folder` (default: the user's cache) does not hold yet.

    `progress`: called as ``progress(done, total, name)`` in files before each download, and once
    more when all are there; without it, the same goes to the log.
    """
    target = folder or cache_folder()
    missing = [jar for jar in JARS if not _is_intact(target / jar.filename, jar)]
    if missing:
        _fetch_all(missing, target, progress or _log_progress)
    return [target / jar.filename for jar in JARS]


def _log_progress(done: int, total: int, name: str) -> None:
    if done == 0:
        _log.warning("First use of Access: fetching %d Java libraries (9 MB), once.", total)
    _log.info("Access libraries: %d of %d %s", done, total, name)


def _fetch_all(missing: list[Jar], target: Path, progress: Progress) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"Cannot make the folder {target} for the Access libraries. Give write access to "
            f"it, or set {FOLDER_VARIABLE} to a folder that holds them."
        ) from error
    # A folder of its own per run: two processes, or a killed one, never share a half file.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target) as staging:
        context = _maven_context(Path(staging))
        for done, jar in enumerate(missing):
            progress(done, len(missing), jar.filename)
            _fetch(context, jar, target)
    progress(len(missing), len(missing), "done")


def _maven_context(repository: Path) -> Any:
    try:
        maven = importlib.import_module("jgo.maven")
    except ImportError as error:
        raise MissingDependencyError("Access", EXTRA) from error
    return maven.MavenContext(repo_cache=repository, local_repos=[], timeout=DOWNLOAD_TIMEOUT_S)


def _fetch(context: Any, jar: Jar, target: Path) -> None:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        fetched = Path(component.artifact().resolve())
    except (OSError, RuntimeError) as error:
        raise DatabaseUnavailableError(
            f"Cannot fetch {jar.filename} from Maven Central. Check the network and try again; "
            "or run 'vrtracker access install' on a machine that has one, copy its folder "
            f"{cache_folder()} here and set {FOLDER_VARIABLE} to it."
        ) from error
    found = _sha256(fetched)
    if found != jar.sha256:
        raise DatabaseUnavailableError(
            f"{jar.filename} as fetched has SHA-256 {found}, not the released {jar.sha256}; it "
            "was discarded. Something between here and Maven Central changes files: use another "
            f"network, or set {FOLDER_VARIABLE} to a folder with the released files."
        )
    _put(fetched, target / jar.filename, jar)


def _put(source: Path, destination: Path, jar: Jar) -> None:
    try:
        source.replace(destination)
    except PermissionError:
        # Windows keeps a library open while another process runs it.
        if not _is_intact(destination, jar):
            raise


def unfit() -> tuple[Path, list[str]]:
    """Return the folder that `locate` looks into, and which files are missing or changed there."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or cache_folder()).expanduser()
    return folder, [jar.filename for jar in JARS if not _is_intact(folder / jar.filename, jar)]


def _from_folder(folder: Path) -> list[Path]:
    paths = [folder / jar.filename for jar in JARS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ConfigurationError(
            f"{FOLDER_VARIABLE} is {folder}, which lacks {', '.join(missing)}. Copy them there "
            "from a machine on which 'vrtracker access install' has run."
        )
    changed = [
        path.name for path, jar in zip(paths, JARS, strict=True) if not _is_intact(path, jar)
    ]
    if changed:
        raise ConfigurationError(
            f"In {folder} ({FOLDER_VARIABLE}), {', '.join(changed)} differs from the pinned "
            "release (SHA-256). Replace it by the released file."
        )
    return paths


def _is_intact(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
