"""Draw the pictures of ``docs/web.md`` from the demo: ``python tools/screenshots.py``."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import launched  # noqa: E402 -- behind the path of the tests' parts
from support.http import served  # noqa: E402
from vrtracker.demo import run_demo  # noqa: E402

WHOLE, BROKEN = "DEMO001.2023-01-18.701", "DEMO002.2023-02-08.701"
PAGES = {
    "overview": "/",
    "sessions": "/sessions?where=imaging",
    "session": f"/sessions/{BROKEN}",
    "imaging": f"/sessions/{WHOLE}/imaging",
    "quality": "/quality/suite2p",
    "work": "/runs",
}


def main() -> None:
    """Write one small picture a page."""
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        run_demo(Path(temporary) / "demo", actor="ann").tracker as tracker,
        served(tracker) as server,
        launched() as browser,
    ):
        size = {"width": 1000, "height": 720}
        page = browser.new_page(viewport=size, base_url=server.url)
        page.goto(f"/enter?token={server.token}")
        for name, path in PAGES.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            drawn = Image.open(io.BytesIO(page.screenshot()))
            drawn.quantize(48, dither=Image.Dither.NONE).save(
                folder / f"web-{name}.png", optimize=True
            )
            print(folder / f"web-{name}.png")


if __name__ == "__main__":
    main()
