"""Change the settings file, which people write; a single value, and nothing beside it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from vrtracker.errors import ConfigurationError
from vrtracker.settings import config_path


def set_profile_url(name: str, url: str) -> Path:
    """Write another database into a profile of the settings file; all else stays as it is.

    Raises ConfigurationError if the profile's line cannot be told from the rest, or the file cannot
    be written.
    """
    path = config_path()
    text = path.read_text("utf-8")
    head = re.search(
        rf"^\[profiles\.(?:{re.escape(name)}|\"{re.escape(name)}\")\]", text, re.MULTILINE
    )
    start = head.end() if head else len(text)
    end = re.compile(r"^\[", re.MULTILINE).search(text, start)
    section = text[start : end.start() if end else len(text)]
    line = re.compile(r"^(\s*url\s*=\s*)(\"[^\"\n]*\"|'[^'\n]*')", re.MULTILINE)
    written = line.sub(lambda found: f"{found[1]}{json.dumps(url)}", section, count=1)
    changed = text[:start] + written + text[start + len(section) :]
    wanted = tomllib.loads(text)
    wanted["profiles"][name]["url"] = url
    if tomllib.loads(changed) != wanted:
        raise ConfigurationError(
            f"The url of the profile {name!r} could not be changed in {path}; set it by hand: "
            f"url = {json.dumps(url)}"
        )
    partial = path.with_name(f".{path.name}.new")
    try:
        partial.write_text(changed, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    return path
