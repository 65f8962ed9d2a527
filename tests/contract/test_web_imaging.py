"""What suite2p made of a session, on its page: drawn by the server, from files nobody trusts."""

from __future__ import annotations

import errno
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.http import Visitor, served
from vrtracker.web import imaging

ONE = "M1.2023-01-20.1"
BLUE, ORANGE, WHITE = (0, 0x72, 0xB2), (0xE6, 0x9F, 0), (255, 255, 255)

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class _Harm:
    def __reduce__(self):
        return os.mkdir, ("harm-done",)


@pytest.fixture
def visitor(lab):
    lab.add(ONE, imaging=True)
    with served(lab.tracker) as client:
        yield Visitor(client)


@pytest.fixture
def plane(lab, visitor):
    """A plane of 300 rows and 400 columns: squares of 9 pixels, of which the second is no cell."""
    folder = lab.folder(ONE) / "suite2p" / "plane0"
    folder.mkdir(parents=True)
    image = np.zeros((300, 400), np.float32)
    image[:, 200:] = 100
    _save(folder / "ops.npy", {"meanImg": np.asfortranarray(image), "fs": 10.0})
    _save(folder / "stat.npy", [_roi(50, 60), _roi(100, 110), _roi(200, 300)])
    np.save(folder / "iscell.npy", np.array([[1, 0.9], [0, 0.1], [1, 0.8]]))
    np.save(folder / "F.npy", np.arange(3 * 5000, dtype="f4").reshape(3, 5000))
    return folder


def _save(path: Path, content) -> None:
    if isinstance(content, list):
        content = np.array([*content, None], object)[:-1]
    np.save(path, content, allow_pickle=True)


def _roi(row, column):
    y, x = (part.ravel() for part in np.indices((9, 9)))
    return {"ypix": row + y, "xpix": column + x, "lam": np.ones(81, "f4")}


def _picture(visitor, cells="0"):
    answer = visitor.look(f"/sessions/{ONE}/planes/0", cells=cells)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    return Image.open(io.BytesIO(answer.body)).convert("RGB")


def test_the_mean_image_has_the_cells_outlined_and_the_chosen_ones_in_colour(visitor, plane):
    drawn = _picture(visitor, "0,1")

    assert drawn.size == (400, 300)
    dark, bright, chosen, no_cell, other = (
        drawn.getpixel(at) for at in ((10, 10), (390, 10), (60, 54), (110, 100), (308, 208))
    )
    assert dark == (0, 0, 0)
    assert bright == (239, 239, 239)
    assert (chosen, no_cell, other) == (BLUE, ORANGE, WHITE)
    assert drawn.getpixel((64, 54)) == dark


def test_traces_of_chosen_cells_are_drawn_with_their_numbers_beside_them(visitor, plane):
    page = visitor.see(f"/sessions/{ONE}/imaging", cells="2 0")

    assert "2 cells of 3 ROIs" in page
    assert "over 500 s" in page
    assert re.findall(r'<th scope="row">(\d+)</th>', page) == ["2", "0"]
    assert "12499.5" in page
    assert "4999.0" in page
    first, second = (
        [tuple(map(float, pair.split(","))) for pair in line.split()]
        for line in re.findall(r'points="([^"]*)"', page)
    )
    assert len(first) == 2 * 760
    assert (first[0], first[-1]) == ((0, 56), (760, 4))
    assert (second[0][1], second[-1][1]) == (116, 64)
    assert f'href="/sessions/{ONE}/imaging"' in visitor.see(f"/sessions/{ONE}")


def test_a_click_on_the_picture_adds_a_cell_or_takes_it_away(visitor, plane):
    def chosen(**query):
        page = visitor.see(f"/sessions/{ONE}/imaging", **query)
        return re.search(r'name="cells" value="([^"]*)"', page)[1]

    assert chosen() == "0, 2"
    assert chosen(**{"cells": "0", "at.x": 305, "at.y": 205}) == "0, 2"
    assert chosen(**{"cells": "0, 2", "at.x": 62, "at.y": 52}) == "2"
    assert chosen(**{"cells": "0", "at.x": 5, "at.y": 250}) == "0"
    for wrong, status in (({"cells": "3"}, 400), ({"cells": "x"}, 400), ({"plane": 4}, 404)):
        assert visitor.look(f"/sessions/{ONE}/imaging", **wrong).status == status


def test_no_file_is_run_and_the_page_says_which_one_is_not_shown(visitor, plane, monkeypatch):
    monkeypatch.chdir(plane)
    _save(plane / "stat.npy", [_Harm()])
    page = visitor.see(f"/sessions/{ONE}/planes")

    assert "nothing in it was run" in page
    assert not Path("harm-done").exists()
    assert _picture(visitor, "").getpixel((390, 10)) == (239, 239, 239)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda plane: (plane / "ops.npy").unlink(), "There is no mean image"),
        (lambda plane: _save(plane / "ops.npy", {"meanImg": _Harm()}), "nothing in it was run"),
        (lambda plane: (plane / "F.npy").unlink(), "No traces: "),
        (lambda plane: os.truncate(plane / "F.npy", 400), "truncated"),
        (lambda plane: np.save(plane / "F.npy", np.zeros((2, 5))), "not a row for each of 3 ROIs"),
        (lambda plane: np.save(plane / "iscell.npy", np.zeros((2, 2))), "there are 3 ROIs"),
        (
            lambda plane: _save(plane / "stat.npy", [_roi(50, 60), _roi(299, 0), _roi(9, 9)]),
            "beyond",
        ),
        (lambda plane: (plane / "stat.npy").write_bytes(b""), "stat.npy"),
    ],
)
def test_what_is_missing_is_told_and_the_rest_is_shown(visitor, plane, spoil, told):
    spoil(plane)

    page = visitor.see(f"/sessions/{ONE}/imaging")
    assert told in page
    assert "ROIs; the numbers are" in page
    _picture(visitor, "")


def test_a_picture_follows_its_files(visitor, plane):
    before = _picture(visitor).tobytes()
    _save(plane / "ops.npy", {"meanImg": np.eye(300, 400, dtype="f4"), "fs": 10.0})

    assert _picture(visitor).tobytes() != before


def test_what_the_drive_refused_once_is_read_the_next_time(visitor, plane, monkeypatch):
    read = Path.read_bytes

    def refused(path):
        if path.name == "ops.npy":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    with monkeypatch.context() as drive:
        drive.setattr(Path, "read_bytes", refused)
        assert "ops.npy cannot be read" in visitor.see(f"/sessions/{ONE}/planes")

    assert "cannot be read" not in visitor.see(f"/sessions/{ONE}/planes")


def test_nobody_asks_a_drive_while_another_waits_for_one(visitor, monkeypatch):
    monkeypatch.setattr(imaging, "_PATIENCE_S", 0.01)
    with imaging._reading:
        for page in ("imaging", "planes", "planes/0"):
            assert visitor.look(f"/sessions/{ONE}/{page}").status == 503

    assert visitor.look(f"/sessions/{ONE}/imaging").status == 200


def test_cells_that_another_plane_does_not_have_are_left_out_of_it(visitor, plane):
    other = plane.with_name("plane1")
    other.mkdir()
    _save(other / "stat.npy", [_roi(50, 60)])

    def chosen(**query):
        page = visitor.see(f"/sessions/{ONE}/imaging", cells="2, 0", **query)
        return re.search(r'name="cells" value="([^"]*)"', page)[1]

    assert 'name="of" value="1"' in visitor.see(f"/sessions/{ONE}/imaging", plane=1)
    assert chosen(plane=1, of=0) == "0"
    assert chosen(plane=0, of=0) == "2, 0"
    _save(other / "stat.npy", [])
    assert chosen(plane=1, of=0) == ""
    answer = visitor.look(f"/sessions/{ONE}/imaging", plane=1, cells="0")
    assert answer.status == 400
    assert b"since the plane has none" in answer.body


def test_a_session_without_output_or_folder_says_so(visitor, lab):
    assert "suite2p has left no plane" in visitor.see(f"/sessions/{ONE}/planes")
    lab.add("M1.2023-01-22.1", imaging=True, folder=False)
    assert "is the drive mounted?" in visitor.see("/sessions/M1.2023-01-22.1/planes")
