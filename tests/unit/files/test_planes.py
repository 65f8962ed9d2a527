"""Planes of suite2p are found, and read as far as they can be."""

from __future__ import annotations

import numpy as np
import pytest

from support.suite2p_output import save
from vrtracker.errors import RootUnavailableError
from vrtracker.files import planes
from vrtracker.files.planes import planes_of, read_plane, read_rate


@pytest.mark.parametrize("closed", [".", "plane0"])
def test_planes_that_the_drive_refuses_are_not_taken_for_none(plain_user_folder, closed):
    folder = plain_user_folder / "suite2p"
    (folder / "plane0").mkdir(parents=True)
    (folder / closed).chmod(0)

    with pytest.raises(RootUnavailableError, match=r"Permission denied.*is the drive mounted"):
        planes_of(plain_user_folder)


def test_planes_are_folders_in_the_order_of_their_numbers(tmp_path):
    assert planes_of(tmp_path) == {}
    for name in ("plane10", "plane2", "combined", "plane"):
        (tmp_path / "suite2p" / name).mkdir(parents=True)
    (tmp_path / "suite2p" / "plane2" / "F.npy").write_bytes(b"12345")

    found = planes_of(tmp_path)

    assert [(number, path.name) for number, (path, _) in found.items()] == [
        (2, "plane2"),
        (10, "plane10"),
    ]
    assert [state[:2] for state in found[2][1]] == [("F.npy", 5)]


@pytest.mark.parametrize("spoiled", ["too long", "of another shape", "too large"])
def test_rate_is_read_beside_an_image_that_cannot_be_shown(tmp_path, monkeypatch, spoiled):
    save(tmp_path / "ops.npy", {"meanImg": np.zeros((4097, 1), "i1"), "fs": 10.0})
    if spoiled == "of another shape":
        whole = (tmp_path / "ops.npy").read_bytes()
        (tmp_path / "ops.npy").write_bytes(whole.replace(b"K\x01\x86", b"K\x02\x86"))
    if spoiled == "too large":
        monkeypatch.setattr(planes, "_LARGEST", 10)

    assert read_rate(tmp_path) == 10
    if spoiled != "too large":
        shown = read_plane(tmp_path)
        assert (shown.image, shown.rate) == (None, 10)
        assert {"too long": "4096 pixels", "of another shape": "no picture"}[
            spoiled
        ] in shown.missing[0]
