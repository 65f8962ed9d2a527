"""Plots look as they did when somebody looked at them."""

from __future__ import annotations

import pytest
from matplotlib.testing.compare import compare_images

from support.pictures import DRAWN, KEPT, draw
from vrtracker.plots import NAMES, looks

# Of a channel of colour, root mean square over the picture, 0 to 255: anti-aliasing differs by
# less between versions of matplotlib; another colour, place or length by more.
TOLERANCE = 3


@pytest.mark.parametrize("name", DRAWN)
def test_plot_is_the_picture_that_was_looked_at(name: str, tmp_path):
    drawn = tmp_path / f"{name}.png"
    draw(name, drawn)

    assert compare_images(str(KEPT / drawn.name), str(drawn), TOLERANCE) is None


def test_every_plot_has_a_picture():
    assert set(NAMES) <= set(DRAWN)
    assert {path.stem for path in KEPT.glob("*.png")} == set(DRAWN)


def test_another_colour_would_be_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "_PALETTE", looks._PALETTE[1:])
    drawn = tmp_path / "sizes.png"
    draw("sizes", drawn)

    assert compare_images(str(KEPT / "sizes.png"), str(drawn), TOLERANCE)
