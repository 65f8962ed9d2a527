"""Small files of the server's own, beside the settings; only who runs the server may read them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from vrtracker.errors import ConfigurationError
from vrtracker.files.trees import rename
from vrtracker.settings import config_path


class KeptFile:
    """A document of JSON, of texts and what they name.

    `name`: of the file beside the settings. `holds`: what it holds, for errors. `path`: where it is
    instead.
    """

    def __init__(self, name: str, holds: str, path: Path | None = None) -> None:
        self.path = path or config_path().with_name(name)
        self._holds = holds

    def read(self) -> dict[str, Any]:
        """Return what is kept now; nothing where there is no file.

        Raises ConfigurationError if it cannot be read.
        """
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self.damaged(error) from error
        if not isinstance(found, dict):
            raise self.damaged("it holds no names")
        return found

    def damaged(self, why: object) -> ConfigurationError:
        """Return the error that says so."""
        return ConfigurationError(
            f"{str(self.path)!r}, which holds the {self._holds} of vrtracker web, cannot be read "
            f"({why}). Mend or remove it."
        )

    def write(self, document: dict[str, Any]) -> None:
        """Keep something in place of what there was.

        Raises ConfigurationError if it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Only who runs the server may read it: mkstemp's files are of one's own.
            number, part = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.stem}-")
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    json.dump(document, file, indent=1, sort_keys=True)
                rename(Path(part), self.path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigurationError(
                f"{str(self.path)!r} cannot be written ({error.strerror or error})."
            ) from error
