"""What ``docs/queries.md`` shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"


def test_page_runs_from_top_to_bottom(demo, monkeypatch, capsys):
    monkeypatch.setenv("VRTRACKER_URL", demo.url)
    monkeypatch.setenv("VRTRACKER_ROOT", str(demo.root))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    try:
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
    finally:
        names["tracker"].close()

    told = capsys.readouterr().out
    assert "7 True" in told
    assert "session.mouseName" in told
    assert "\n5\n5\n2\n" in told
    assert "SELECT" in told
