from __future__ import annotations

import os
from pathlib import Path

import pytest

import vrtracker
from vrtracker import settings as settings_module
from vrtracker.domain.retrying import RunPolicy
from vrtracker.errors import ConfigurationError, UnknownNameError
from vrtracker.settings import config_path, load_settings, profile_names, resolve_url

FILE = """
default_profile = "rig"

[profiles.rig]
url = "rig.db"
root = "/data/rig"
timezone = "Europe/London"
lease_minutes = 5
output = "results"

[profiles.rig.registrars]
registration = "lab.registration:register"

[profiles.rig.stages.tracking]
title = "ROI tracking"
requires = ["registration"]
applies_if = ["imaging"]

[profiles.rig.presets.blender]
experimentType = "Blender VR"
imaging = true
numPlanes = 5

[profiles.paper]
url = "postgresql://reader@db.lab/paper"

[profiles."talk.v2"]
url = "second.db"
"""


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(path))
    return path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch) -> None:
    for name in list(os.environ):
        if name.startswith("VRTRACKER_"):
            monkeypatch.delenv(name)


def test_empty_variables_count_as_not_set(monkeypatch):
    for name in ("URL", "ROOT", "BACKUPS", "SAFETY_COPIES", "PROFILE", "TIMEZONE", "ACTOR"):
        monkeypatch.setenv(f"VRTRACKER_{name}", "")

    found = load_settings()

    assert (found.url, found.root, found.backups, found.timezone) == (None, None, None, None)
    assert found.safety_copies
    assert found.actor


def test_environment_counts_where_the_profile_says_nothing(config, monkeypatch):
    monkeypatch.setenv("VRTRACKER_SAFETY_COPIES", "false")
    monkeypatch.setenv("VRTRACKER_TIMEZONE", "Asia/Tokyo")

    assert not load_settings("rig").safety_copies
    assert load_settings("rig").timezone == "Europe/London"


def test_nothing_set_gives_the_defaults():
    found = load_settings()

    assert (found.url, found.root, found.profile, found.timezone) == (None, None, None, None)
    assert (found.lease_minutes, found.output) == (15, "oneData")
    assert found.actor


def test_default_profile_is_taken(config):
    found = load_settings()

    assert (found.profile, found.url, found.root) == ("rig", "rig.db", Path("/data/rig"))
    assert (found.timezone, found.lease_minutes, found.output) == ("Europe/London", 5, "results")
    assert found.registrars == {"registration": "lab.registration:register"}
    assert found.stages["tracking"].requires == ["registration"]
    assert found.stages["tracking"].kind == "process"


def test_policy_of_a_stage_is_read_and_what_it_leaves_open_is_as_without(config, tmp_path):
    text = "[profiles.rig.policies.tracking]\nattempts = 3\npermanent = ['OSError']"
    config.write_text(f"{FILE}\n{text}\ntimeout_minutes = 0.5\n", encoding="utf-8")
    with vrtracker.init(tmp_path / "new.db") as tracker:
        policy = tracker._lab.policy("tracking")
        assert tracker._lab.policy("registration") == RunPolicy()
    assert policy == RunPolicy(attempts=3, permanent=("OSError",), timeout_minutes=0.5)


@pytest.mark.parametrize(
    ("stage", "line", "said"),
    [
        ("tracking", "attempts = 0", r"policies\.tracking\.attempts: .*greater than or equal to 1"),
        ("tracking", "timeout_minutes = nan", "timeout_minutes"),
        ("tracking", "first_wait_minutes = 2000", "over the longest.*longest_wait_minutes"),
        ("tracking", "permanent = ['not a name']", "'not a name' is no name of a class"),
        ("tracking", "atempts = 3", "atempts"),
        ("red_cell_qc", "attempts = 3", "which people do"),
        ("traking", "attempts = 3", "Did you mean 'tracking'"),
    ],
)
def test_policy_that_cannot_be_is_refused(config, tmp_path, stage: str, line: str, said: str):
    url = tmp_path / "new.db"
    vrtracker.init(url).close()
    config.write_text(f"{FILE}\n[profiles.rig.policies.{stage}]\n{line}\n", encoding="utf-8")
    with pytest.raises((ConfigurationError, UnknownNameError), match=said):
        vrtracker.open(url)


def test_environment_comes_before_the_default_profile(config, monkeypatch):
    monkeypatch.setenv("VRTRACKER_URL", "other.db")
    monkeypatch.setenv("VRTRACKER_ROOT", "/elsewhere")
    monkeypatch.setenv("VRTRACKER_ACTOR", "night shift")

    found = load_settings()

    assert (found.url, found.root, found.actor) == ("other.db", Path("/elsewhere"), "night shift")
    assert found.output == "results"


def test_profile_of_the_environment_is_taken(config, monkeypatch):
    monkeypatch.setenv("VRTRACKER_PROFILE", "paper")

    assert load_settings().url == "postgresql://reader@db.lab/paper"
    assert load_settings().profile == "paper"


def test_profile_that_is_asked_for_comes_before_the_environment(config, monkeypatch):
    monkeypatch.setenv("VRTRACKER_URL", "other.db")
    monkeypatch.setenv("VRTRACKER_ROOT", "/elsewhere")

    found = load_settings("paper")

    assert found.url == "postgresql://reader@db.lab/paper"
    assert found.root == Path("/elsewhere")


def test_target_is_a_profile_a_path_or_a_url(config):
    assert resolve_url("paper") == "postgresql://reader@db.lab/paper"
    assert resolve_url("talk.v2") == "second.db"
    assert resolve_url(Path("talk.v2")) == "talk.v2"
    assert resolve_url("lab.db") == "lab.db"
    assert resolve_url("some/paper") == "some/paper"
    assert resolve_url("postgresql://x@y/z") == "postgresql://x@y/z"
    assert resolve_url(Path("/data/lab.db")) == "/data/lab.db"
    assert resolve_url() == "rig.db"


def test_no_database_anywhere_is_told():
    for work in (resolve_url, vrtracker.open, vrtracker.init):
        with pytest.raises(ConfigurationError, match=r"VRTRACKER_URL|path of the file"):
            work()


def test_unknown_profile_names_the_nearest(config, monkeypatch):
    with pytest.raises(UnknownNameError) as refused:
        load_settings("papr")
    assert refused.value.nearest == ("paper",)

    monkeypatch.setenv("VRTRACKER_PROFILE", "rigg")
    with pytest.raises(UnknownNameError) as refused:
        load_settings()
    assert refused.value.nearest == ("rig",)


def test_profiles_are_listed(config):
    assert profile_names() == ["rig", "paper", "talk.v2"]


def test_settings_file_is_in_the_users_folder_unless_named(config, monkeypatch):
    assert config_path() == config
    monkeypatch.delenv("VRTRACKER_CONFIG")

    assert config_path().name == "config.toml"
    assert config_path().parent.name == "vrtracker"
    assert profile_names() == []


def test_settings_file_that_is_named_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_CONFIG", str(tmp_path / "none.toml"))

    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("profiles = ", "config.toml"),
        ("[profiles.rig]\nurll = 'x'", "urll"),
        ("[profile.rig]\nurl = 'x'", "profile"),
        ("[profiles.rig]\nlease_minutes = 'soon'", "lease_minutes"),
        ("[profiles.rig]\nlease_minutes = 0", "lease_minutes"),
        ("[profiles.rig]\ntimezone = 'Mars/Olympus'", "Mars/Olympus"),
        ("[profiles.rig]\ntimezone = '../etc/passwd'", "passwd"),
        ("[profiles.rig.stages.x]\nkind = 'magic'", "kind"),
        ("default_profile = 'gone'", "gone"),
    ],
)
def test_wrong_file_is_told_with_the_place(config, content, said):
    config.write_text(content, encoding="utf-8")

    with pytest.raises((ConfigurationError, UnknownNameError), match=said):
        load_settings()


def test_file_that_is_no_text_is_told(config):
    config.write_bytes(b"\xff\xfe\x00url")

    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        load_settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://rig:s3cret@db.lab/paper",
        "postgresql+psycopg://rig:s3cret@db.lab:5432/paper?sslmode=require",
        "postgresql://rig:s3%40cret@db.lab/paper",
        "postgresql://rig:p@s3cret@db.lab/paper",
        "postgresql://db.lab/paper?user=rig&password=s3cret",
        "postgresql://rig@db.lab/paper?password=s3cret",
    ],
)
def test_password_in_the_file_is_refused_and_not_shown(config, url):
    config.write_text(f"[profiles.paper]\nurl = '{url}'", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="PGPASSWORD") as refused:
        load_settings()

    assert "s3cret" not in str(refused.value)
    assert "s3%40cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://rig@db.lab:5432/paper",
        "postgresql://db.lab/paper?user=rig",
        "sqlite:///C:/labs/me@lab/lab.db",
        "C:/labs/me@lab/lab.db",
        "/data/a:b@c/lab.db",
        "lab.db",
    ],
)
def test_address_without_a_password_is_accepted(config, url):
    config.write_text(f"[profiles.paper]\nurl = '{url}'", encoding="utf-8")

    assert load_settings("paper").url == url


def test_timezone_of_the_environment_is_checked(monkeypatch):
    monkeypatch.setenv("VRTRACKER_TIMEZONE", "Europe/Lodnon")

    with pytest.raises(ConfigurationError, match="Lodnon"):
        load_settings()


def test_user_without_a_name_is_unknown(monkeypatch):
    def nobody() -> str:
        raise OSError

    monkeypatch.setattr(settings_module.getpass, "getuser", nobody)

    assert load_settings().actor == "unknown"


def test_root_of_home_and_relative_root_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    vrtracker.init(tmp_path / "lab.db").close()

    for root in ("~/data", "data", tmp_path / "data"):
        with vrtracker.open(tmp_path / "lab.db", root=root) as tracker:
            assert tracker.root == tmp_path / "data"


def test_declared_stage_that_is_wrong_is_told_on_opening(config, tmp_path):
    vrtracker.init(tmp_path / "lab.db").close()
    config.write_text(
        f"[profiles.rig]\nurl = '{tmp_path / 'lab.db'}'\n"
        "[profiles.rig.stages.tracking]\nrequires = ['registratoin']",
        encoding="utf-8",
    )

    with pytest.raises(ConfigurationError, match="registratoin"):
        vrtracker.open("rig")


def test_presets_are_read(config):
    assert load_settings().presets == {
        "blender": {"experimentType": "Blender VR", "imaging": True, "numPlanes": 5}
    }


def test_variables_stand_for_what_the_environment_holds(config, monkeypatch):
    config.write_text(
        '[profiles.lab]\nurl = "postgresql://ann:${LAB_PASSWORD}@db.lab/${LAB_NAME}"\n'
        'root = "${LAB_DRIVE}/data"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("LAB_PASSWORD", "p@ss/word")
    monkeypatch.setenv("LAB_NAME", "rig")
    monkeypatch.setenv("LAB_DRIVE", "/mnt/lab")

    found = load_settings("lab")

    assert found.database == "postgresql://ann:p%40ss%2Fword@db.lab/rig"
    assert found.root == Path("/mnt/lab/data")
    monkeypatch.delenv("LAB_NAME")
    with pytest.raises(ConfigurationError, match="LAB_NAME, which is not set"):
        load_settings("lab")


def test_password_beside_a_variable_is_refused(config):
    config.write_text('[profiles.lab]\nurl = "postgresql://ann:x${LAB}@db.lab/rig"\n', "utf-8")

    with pytest.raises(ConfigurationError, match="holds a password"):
        load_settings("lab")


def test_variable_may_have_a_default_and_what_is_no_variable_is_refused(config, monkeypatch):
    config.write_text('[profiles.lab]\nurl = "${LAB_DIR:-/data}/${LAB_FILE:-lab.db}"\n', "utf-8")
    monkeypatch.delenv("LAB_DIR", raising=False)
    monkeypatch.setenv("LAB_FILE", "other.db")
    assert load_settings("lab").database == "/data/other.db"
    for wrong in ("${LAB_DIR:=/data}", "${LAB DIR}", "${LAB_DIR"):
        config.write_text(f'[profiles.lab]\nurl = "{wrong}/lab.db"\n', "utf-8")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load_settings("lab")
    config.write_text('[profiles.lab]\nurl = "postgresql://a:${P:-secret}@h/d"\n', "utf-8")
    with pytest.raises(ConfigurationError, match="holds a password"):
        load_settings("lab")
