"""Register a session by indexing the ALF files that are there: find, check, hash, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vrtracker.domain.registrars import DatasetFile, Job, RegistrarResult
from vrtracker.errors import RegistrarError
from vrtracker.files.alf import find_alf_files, hash_file, read_npy_header


@dataclass(frozen=True, slots=True)
class AlfIndexer:
    """Records every ALF-named file of a session as a dataset; writes nothing.

    `hashes`: compute the MD5 of each file.
    """

    hashes: bool = True
    name: str = "alf"
    # Raised when it finds other datasets in the same files: most releases leave that alone.
    version: ClassVar[str] = "1"

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options."""
        return {"hashes": self.hashes}

    def estimate(self, job: Job) -> int | None:
        """Return the size of the files, which is what indexing them counts."""
        return sum(file.size_bytes for file in find_alf_files(job.session_path))

    def register(self, job: Job) -> RegistrarResult:
        """Check that each array can be read, and return the files as datasets.

        Raises RegistrarError if there is no ALF file. Raises InvalidValueError if an array file is
        truncated or not an array.
        """
        files = find_alf_files(job.session_path)
        if not files:
            raise RegistrarError(
                f"{job.session_path} holds no ALF-named file (such as trials.startTimes.npy); "
                "run the preprocessing first."
            )
        datasets = []
        for file in files:
            path = job.session_path / file.rel_path
            if path.suffix == ".npy":
                read_npy_header(path)
            digest = hash_file(path) if self.hashes else None
            datasets.append(DatasetFile(file.rel_path, file.size_bytes, digest, file.revision))
        return RegistrarResult(datasets)
