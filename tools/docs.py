"""Build the documentation site into ``build/docs/html``; it needs no network.

Usage: ``python tools/docs.py`` with the extra ``docs``. A warning of Sphinx is an error: a link
that leads nowhere, a page that no list names, a docstring that does not parse. Pictures are drawn
from the demo, and the tables, settings and schema are read from the package, while it builds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {
    "pipeline": {},
    "progress": {},
    "throughput": {},
    "quality": {"by": "mouse"},
    "durations": {},
    "failures": {},
    "sizes": {},
    "timeline": {},
    "stages": {},
}


def main() -> int:
    """Build the site and return Sphinx's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", metavar="FOLDER")
    out = parser.parse_args().out.resolve()
    source = out / "source"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source)
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
        shutil.copy(ROOT / f"{name}.md", source / f"{name.lower()}.md")
    _mend_links(source)
    _draw(source)
    _describe(source)
    words = ["-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-b", "html"]
    doctrees = ["-d", str(out / "doctrees")]
    done = subprocess.run(
        [sys.executable, *words, *doctrees, str(source), str(out / "html")], check=False
    )
    if done.returncode:
        return done.returncode
    if loaded := _loaded_from_elsewhere(out / "html"):
        print("These pages load something from a network:", *loaded, sep="\n")
        return 1
    print(out / "html" / "index.html")
    return 0


def _loaded_from_elsewhere(html: Path) -> list[str]:
    """Return the pages that would be bare, or could not search, without a network."""
    loads = re.compile(r"""<(?:script|img|link|iframe)[^>]*\s(?:src|href)=["']?(?:https?:)?//""")
    pages = [page for page in html.rglob("*.html") if loads.search(page.read_text("utf-8"))]
    index = [] if (html / "searchindex.js").is_file() else [html / "searchindex.js"]
    return [str(page.relative_to(html)) for page in (*pages, *index)]


def _mend_links(source: Path) -> None:
    """Have pages of the project's folder stand among the others, and cells be code."""
    for name in ("changelog", "contributing", "security"):
        page = source / f"{name}.md"
        text = page.read_text(encoding="utf-8").replace("](docs/", "](")
        page.write_text(text, encoding="utf-8")
    for page in source.rglob("*.md"):
        # The page that is a notebook has its cells in jupytext's form.
        text = page.read_text(encoding="utf-8").replace("```{code-cell}", "```python")
        for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
            text = text.replace(f"](../{name}.md", f"]({name.lower()}.md")
        page.write_text(text, encoding="utf-8")


def _draw(source: Path) -> None:
    """Draw every plot from the demo, and put the pictures on the page that explains them."""
    os.environ["MPLBACKEND"] = "agg"
    from vrtracker.demo import run_demo

    pictures = source / "pictures"
    pictures.mkdir(exist_ok=True)
    shown = ["", "## What the demo looks like", ""]
    with TemporaryDirectory() as folder:
        tracker = run_demo(Path(folder) / "demo", actor="ada").tracker
        for number, session in enumerate(tracker.sessions.query("state.red_cell_qc = ready")):
            level = ("PASS", "PASS", "WARNING", "FAIL")[number % 4]
            tracker.workflow.set_qc(session.key, "red_cell", level)
        for name, options in PICTURES.items():
            ax = tracker.plot(name, *(["DEMO001"] if name == "timeline" else []), **options)
            ax.get_figure(root=True).savefig(pictures / f"{name}.svg")
            shown.append(f"![The plot {name}, of the demo](pictures/{name}.svg)\n")
        tracker.close()
    page = source / "plots.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n".join(shown), encoding="utf-8")


def _describe(source: Path) -> None:
    """Write the schema, with a diagram, as a page, and have the decisions listed."""
    from vrtracker.database.description import schema_description
    from vrtracker.database.schema_page import as_html

    body = as_html(schema_description()).partition("<h1>")[2].rpartition("</body>")[0]
    title, _, rest = body.partition("</h1>")
    page = f"# {title}\n\n```{{raw}} html\n{rest.strip()}\n```\n"
    (source / "schema.md").write_text(page, encoding="utf-8")
    decisions = source / "adr" / "README.md"
    listed = "\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"
    decisions.write_text(decisions.read_text(encoding="utf-8") + listed, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
