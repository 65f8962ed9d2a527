"""What a registrar made in a session's output: which files are its own, and which are recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrtracker.domain.registrars import DatasetFile, RegistrarResult
from vrtracker.errors import RegistrarError
from vrtracker.files.alf import hash_file
from vrtracker.files.staging import SwapReport

_PATH_LENGTH = 255


def written_before(known: Sequence[Mapping[str, Any]], stage: str, output: str) -> list[str]:
    """Return the files in the output folder that this stage wrote before.

    What it only found and recorded there, as the ALF indexer does, is not its own to replace.
    """
    prefix = f"{output}/"
    return [
        row["rel_path"].removeprefix(prefix)
        for row in known
        if row["stage"] == stage and row["written"] and row["rel_path"].startswith(prefix)
    ]


def datasets_of(
    result: RegistrarResult, path: Path, output: str, files: Sequence[str]
) -> list[DatasetFile]:
    """Return what the registrar names, or each of the files, with its size and hash."""
    if result.datasets is not None:
        datasets = list(result.datasets)
    else:
        there = [(name, path / output / name) for name in files]
        datasets = [
            DatasetFile(f"{output}/{name}", file.stat().st_size, hash_file(file))
            for name, file in there
            if file.is_file()
        ]
    for dataset in datasets:
        if len(dataset.rel_path) > _PATH_LENGTH:
            raise RegistrarError(
                f"The path {dataset.rel_path!r} has more than {_PATH_LENGTH} characters; "
                "shorten the name."
            )
    return datasets


def files_of_ours(
    report: SwapReport, written: Collection[str], earlier: Collection[str]
) -> list[str]:
    """Return the files in the output that are this stage's: new ones, and what was kept of it."""
    # A run that wrote nothing leaves the whole earlier output where it is.
    kept = {*report.carried} & {*written, *earlier} if written else {*earlier}
    return sorted({*report.files, *kept})


def stated_size(result: RegistrarResult) -> int:
    """Return the size that a registrar states itself, bytes; 0 where it leaves that to us."""
    if result.bytes is not None:
        return result.bytes
    return sum(file.size_bytes for file in result.datasets or ())
