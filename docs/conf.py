"""How Sphinx makes the site; ``python tools/docs.py`` runs it on a copy of this folder."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from pygments.lexers.special import TextLexer

project = "vrtracker"
author = "The vrtracker maintainers"
version = release = version_of("vrtracker")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_*"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_default_options = {
    "members": True,
    # Without what enumerations, errors and records have of Python's own.
    "inherited-members": "StrEnum,IntEnum,Enum,str,int,BaseException,tuple,Mapping",
    "member-order": "bysource",
}
templates_path = ["_templates"]
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "literal"  # `name` in a docstring is the name, as in Markdown

html_theme = "pydata_sphinx_theme"
html_title = f"vrtracker {version}"
html_static_path: list[str] = []
html_sidebars: dict[str, list[str]] = {"*": []}  # pages of the top have nothing below them
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def setup(app: Any) -> None:
    """Let pages show conditions, which no lexer knows."""
    app.add_lexer("condition", TextLexer)
