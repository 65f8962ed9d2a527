"""A tiny package named vrAnalysis, written where a test puts it on the path.

It stands for the real one, which needs a rig's worth of libraries: the same modules, classes and
signatures as far as the tracker uses them, and the same bad habits. B2Session.create refuses a
session that was never registered; B2Registration clears oneData first, writes its options with
plain json, and makes its folder in the constructor.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

_FILES = {
    "__init__.py": "",
    "files.py": """
        import os
        from pathlib import Path

        def local_data_path():
            return Path(os.environ["FAKE_VRANALYSIS_ROOT"])
    """,
    "sessions/__init__.py": "from .b2session import B2Session",
    "sessions/b2session.py": """
        from dataclasses import dataclass
        from ..files import local_data_path

        @dataclass
        class B2RegistrationOpts:
            vrBehaviorVersion: int = 1
            facecam: bool = False
            imaging: bool = True
            oasis: bool = True
            redCellProcessing: bool = True
            clearOne: bool = True
            neuropilCoefficient: float = 0.7

        class B2Session:
            def __init__(self, mouse_name, date, session_id):
                self.mouse_name, self.date, self.session_id = mouse_name, date, session_id
                self.data_path = local_data_path() / mouse_name / date / session_id

            @classmethod
            def create(cls, mouse_name, date, session_id, params=None, for_registration=False):
                session = cls(mouse_name, date, session_id)
                session.params = params
                if not (session.data_path / "vrExperimentOptions.json").exists():
                    raise ValueError("session json files were not found!")
                return session

            @property
            def session_name(self):
                return self.mouse_name, self.date, self.session_id

            def __eq__(self, other):
                return isinstance(other, B2Session) and hash(self) == hash(other)

            def __hash__(self):
                return hash(self.session_name)

            @property
            def one_path(self):
                return self.data_path / "oneData"

            def get_saved_one(self):
                return [*self.one_path.glob("*.npy"), *self.one_path.glob("*.npz")]

            def session_print(self, joinby="/"):
                return joinby.join([self.mouse_name, self.date, self.session_id])
    """,
    "registration/__init__.py": """
        import json
        from ..sessions import B2Session

        class B2Registration(B2Session):
            def __init__(self, mouse_name, date_string, session_id, opts):
                super().__init__(mouse_name, date_string, session_id)
                self.opts = opts
                if not self.data_path.exists():
                    raise ValueError("Session directory does not exist")
                if not self.one_path.exists():
                    self.one_path.mkdir(parents=True)

            def register(self):
                if self.opts.clearOne:
                    for file in self.get_saved_one():
                        file.unlink()
                (self.one_path / "trials.startTimes.npy").write_bytes(b"new" * 100)
                fault = self.data_path / "fault"
                if fault.exists():
                    text = fault.read_text()
                    raise KeyboardInterrupt if text == "interrupt" else ValueError(text)
                (self.one_path / "mpciROIs.redCellIdx.npy").write_bytes(b"fresh")
                options = self.data_path / "vrExperimentOptions.json"
                options.write_text(json.dumps(vars(self.opts)))
    """,
}


def install(folder: Path) -> Path:
    """Write the package into a folder and return the folder."""
    for name, text in _FILES.items():
        path = folder / "vrAnalysis" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return folder
