"""Pictures of a plane: the mean image with its ROIs as PNG, traces as the points of lines."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.files.planes import Plane
from vrtracker.plots.looks import colours

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COLOURS = tuple(colours([str(number) for number in range(8)]).values())
"""Of the cells that are chosen, in turn."""
_GREYS = 240
_OUTLINE = b"\xff\xff\xff"
_SMALLEST, _LARGEST = 256, 768
"""Between which the longer side of a picture is, pixels."""
_NEAR = 4
WIDTH, LANE = 760, 60
"""Of a trace, pixels."""


def picture(plane: Plane, chosen: Sequence[int]) -> bytes:
    """Return the mean image as PNG, cells outlined in white and those that are chosen in colour."""
    import numpy as np

    step, times = _scale(plane)
    rows, columns = (-(-side // step) for side in plane.shape)
    shown = np.zeros((rows, columns), np.uint8)
    if plane.image is not None:
        dark, bright = np.percentile(plane.image, [1, 99.5])
        share = (plane.image[::step, ::step] - dark) / max(bright - dark, 1e-9)
        shown[:] = share.clip(0, 1) * (_GREYS - 1)
    number, y, x = plane.pixels
    y, x = y // step, x // step
    is_cell = plane.is_cell[number]
    shown[_edges((rows, columns), number[is_cell], y[is_cell], x[is_cell])] = _GREYS
    for place, roi in enumerate(chosen):
        own = number == roi
        shown[_edges((rows, columns), number[own], y[own], x[own])] = _GREYS + 1 + place
    palette = b"".join(bytes([grey] * 3) for grey in range(_GREYS)) + _OUTLINE
    palette += bytes.fromhex("".join(COLOURS).replace("#", ""))
    return _png(shown.repeat(times, axis=0).repeat(times, axis=1), palette)


def roi_at(plane: Plane, x: int, y: int) -> int | None:
    """Return the cell at a place of the picture, None where there is none."""
    step, times = _scale(plane)
    column, row = x * step // times, y * step // times
    number, rows, columns = plane.pixels[:, plane.is_cell[plane.pixels[0]]]
    away = abs(rows - row) + abs(columns - column)
    return int(number[away.argmin()]) if len(away) and away.min() <= _NEAR * step else None


def points(trace: npt.NDArray[np.float64], lane: int) -> str:
    """Return the points of a line in its lane; of many frames the least and the most of each part.

    `trace`: (frames,). `lane`: counted from above.
    """
    import numpy as np

    if len(trace) > 2 * WIDTH:
        begins = np.linspace(0, len(trace), WIDTH, endpoint=False).astype(int)
        both = [np.minimum.reduceat(trace, begins), np.maximum.reduceat(trace, begins)]
        trace = np.stack(both, axis=1).ravel()
    if not len(trace):
        return ""
    low, high = trace.min(), trace.max()
    x = np.linspace(0, WIDTH, len(trace))
    y = (lane + 1) * LANE - 4 - (trace - low) / max(high - low, 1e-9) * (LANE - 8)
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True))


def _scale(plane: Plane) -> tuple[int, int]:
    """Return of how many pixels one is shown, and how many times."""
    longest = max(plane.shape)
    return max(1, -(-longest // _LARGEST)), max(1, -(-_SMALLEST // longest))


def _edges(shape: tuple[int, int], number: Any, y: Any, x: Any) -> Any:
    """Return which pixels of ROIs have a neighbour that is not of the same one."""
    import numpy as np

    of = np.zeros((shape[0] + 2, shape[1] + 2), np.int64)
    of[y + 1, x + 1] = number + 1
    own = of[1:-1, 1:-1]
    beside = (of[:-2, 1:-1], of[2:, 1:-1], of[1:-1, :-2], of[1:-1, 2:])
    return (own > 0) & np.any([each != own for each in beside], axis=0)


def _png(pixels: Any, palette: bytes) -> bytes:
    """Return a picture whose pixels are numbers of colours.

    Format: Portable Network Graphics, ISO/IEC 15948: colour type 3, no filter.
    """
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(lines))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*parts, (b"IEND", b"")]
    )
