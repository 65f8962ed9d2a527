"""vrAnalysis itself, where it is installed: the same files and arrays as without the tracker."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def vranalysis() -> None:
    if importlib.util.find_spec("vrAnalysis") is None:
        pytest.skip("vrAnalysis is not installed")
    imported = run("-c", "import vrAnalysis.registration, vrAnalysis.sessions, oasis.functions")
    if imported.returncode:
        pytest.skip(f"vrAnalysis cannot be imported: {imported.stderr.splitlines()[-1]}")


@pytest.mark.slow
def test_sessions_are_registered_and_read_as_by_vranalysis_alone(vranalysis, tmp_path):
    done = run(str(ROOT / "tools" / "real_vranalysis.py"), str(tmp_path / "labs"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERS" not in done.stdout
    assert "same     701: oneData/mpci.roiActivityDeconvolvedOasis.npy" in done.stdout
    assert "same     701: spks as read" in done.stdout
