"""The one page so far: what can be called, and how; made from the description of the API."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

__all__ = ["page_of"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
       color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8885; padding: .3rem .5rem; text-align: left; }
code, pre { font-family: ui-monospace, monospace; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8885; }
"""


def page_of(description: Mapping[str, Any], *, database: str, address: str) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    description
        The OpenAPI document.
    database, address
        What is served, and where.
    """
    rows = "\n".join(
        f"<tr><td><code>{verb.upper()}</code></td><td><code>{_safe(path)}</code></td>"
        f"<td>{_safe(call.get('summary', ''))}</td></tr>"
        for path, calls in description["paths"].items()
        for verb, call in calls.items()
    )
    example = f'curl -H "Authorization: Bearer $TOKEN" "{address}/api/v1/sessions?limit=5"'
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>vrtracker</title><style>{_STYLE}</style></head>
<body>
<main>
<h1>vrtracker</h1>
<p>{_safe(database)}</p>
<pre>{_safe(example)}</pre>
<p>The token is what <code>vrtracker web</code> printed. In full: <a
href="/openapi.json">openapi.json</a>.</p>
<table>
<thead><tr><th scope="col">Verb</th><th scope="col">Path</th><th scope="col">What it
does</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def _safe(text: Any) -> str:
    return html.escape(str(text))
