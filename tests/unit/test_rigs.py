"""What is wrong with the description of a rig is named by its path, all of it at once."""

from __future__ import annotations

import json

import jsonschema
import pytest

from support.rigs import BROKEN, BROKEN_PATHS, a_rig
from vrtracker.domain.rigs import content_hash, differences, for_export, rig_schema, violations
from vrtracker.services.rigs import RigService


def test_schema_is_one_of_draft_2020_12():
    jsonschema.Draft202012Validator.check_schema(rig_schema())


def test_good_rig_has_no_violations():
    assert violations(a_rig()) == []
    assert violations(a_rig(videos=None, equipment=None, features=[])) == []


def test_every_violation_is_named_by_its_path_once():
    found = violations(BROKEN)

    assert [each.path for each in found] == BROKEN_PATHS
    assert all(each.message for each in found)


@pytest.mark.parametrize("content", [None, [], "rig", 3, {}, {"features": {}}, {"features": None}])
def test_what_is_no_rig_at_all_is_refused(content):
    assert violations(content)


@pytest.mark.parametrize("text", ["a\u0000b", "half \ud800"])
def test_text_that_no_database_keeps_is_a_violation(text):
    assert len(violations(a_rig(version=text))) == 1


def test_name_that_reads_as_a_version_is_a_violation():
    (found,) = violations(a_rig(name="b2@1"))

    assert (found.path, "'b2@1' holds '@'" in found.message) == ("$.name", True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe{}", "no UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": NaN}', "NaN"),
    ],
    ids=["cut", "encoding", "deep", "twice", "NaN"],
)
def test_file_that_holds_no_json_is_one_violation_of_the_whole(tmp_path, text, why):
    (tmp_path / "rig.json").write_bytes(text)

    (found,) = RigService.validate(tmp_path / "rig.json")

    assert found.path == "$"
    assert why in found.message


def test_hash_is_of_the_content_alone():
    turned = dict(reversed(a_rig().items()))

    assert content_hash(turned) == content_hash(a_rig())
    assert content_hash(a_rig(version="1.3")) != content_hash(a_rig())


def test_differences_tell_members_apart_by_their_names():
    old, new = a_rig(), a_rig(version="1.3")
    new["features"] = [{**new["features"][1], "name": "gaze"}, *new["features"]]
    new["features"][1]["coordinates"] = [0, 1, 0]

    assert {path: (was, now) for path, was, now in differences(old, new)} == {
        "$.version": ("1.2", "1.3"),
        "$.features[licks].coordinates": ([0, 1.5, -2], [0, 1, 0]),
        "$.features[gaze]": (None, new["features"][0]),
    }


def test_export_names_the_videos_that_antelop_looks_for():
    assert for_export(a_rig(videos=None))["videos"] == []
    assert json.loads(json.dumps(for_export(a_rig()))) == a_rig()
