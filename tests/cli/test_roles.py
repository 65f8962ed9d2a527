"""The roles of a profile, from the settings file to the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

import vrtracker
from support.command_line import good, refused, told
from vrtracker.cli.exits import Exit
from vrtracker.errors import ConfigurationError

PROFILE = """
[profiles.rig]
url = "{url}"
default_role = "reader"
[profiles.rig.roles]
Anna = "editor"
boss = "admin"
"""


@pytest.fixture
def profile(empty: str, tmp_path: Path, monkeypatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(PROFILE.format(url=empty))
    monkeypatch.setenv("VRTRACKER_CONFIG", str(path))
    return path


def test_profile_says_who_may_do_what(profile):
    def signed(name: str, *words: str) -> tuple[str, ...]:
        return ("--url", "rig", "--actor", name, *words)

    assert good(*signed("ANNA", "mice", "add", "M1"))
    said = refused(*signed("bob", "mice", "add", "M2"), code=Exit.UNAVAILABLE)
    assert "'bob' has the role reader" in said
    assert f'under roles in {profile}: bob = "editor"' in said
    said = refused(*signed("bob", "undo", "--last"), code=Exit.UNAVAILABLE)
    assert "'bob' has the role reader" in said
    good(*signed("anna", "mice", "delete", "M1"))
    assert "needs admin" in refused(
        *signed("anna", "mice", "purge", "M1", "--yes"), code=Exit.UNAVAILABLE
    )
    assert "needs admin" in refused(
        *signed("anna", "db", "downgrade", "0003", "--yes"), code=Exit.UNAVAILABLE
    )
    assert "needs admin" in refused(
        *signed("anna", "restore", __file__, "--yes"), code=Exit.UNAVAILABLE
    )
    assert good(*signed("boss", "mice", "purge", "M1", "--yes"))
    assert told(*signed("bob", "status"))["role"] == "reader"
    assert told(*signed("anna", "admin", "roles")) == [
        {"name": "Anna", "role": "editor", "is_you": True},
        {"name": "boss", "role": "admin", "is_you": False},
        {"name": None, "role": "reader", "is_you": False},
    ]
    assert "(all others)" in good(*signed("bob", "admin", "roles"))
    assert str(profile) in refused(*signed("boss", "admin", "grant", "bob", "editor"), code=2)
    with vrtracker.open("rig", actor="boss") as tracker:
        assert tracker.role == "admin"


def test_role_that_does_not_exist_is_refused(profile):
    profile.write_text(profile.read_text().replace('"editor"', '"writer"'))

    with pytest.raises(ConfigurationError, match=r"roles\.Anna"):
        vrtracker.open("rig")
