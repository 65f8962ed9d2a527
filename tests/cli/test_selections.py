"""The shell freezes selections, lists them, and says with its exit code whether one still holds."""

from __future__ import annotations

import json

from support.command_line import good, refused, run


def test_selection_is_frozen_verified_exported_and_imported(demo, tmp_path):
    made = demo.told("freeze", "fig3", "--imaging", "--note", "figure 3")
    assert demo.told("verify", "fig3")["hash"] == made["hash"]
    assert demo.told("selections") == [made]
    demo.good("selections", "--export", "fig3", "--to", tmp_path / "fig3.json")
    with demo.open() as tracker:
        key = tracker.selection("fig3").keys[0]
    demo.good("sessions", "edit", key, "--set", "sessionNotes=since")

    result = run(*demo.options, "verify", "fig3", "--json")

    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["frozen_hash"] == made["hash"] != found["hash"]
    assert found["changed"] == [{"key": key, "column": "sessionNotes", "old": None, "new": "since"}]
    assert "sessionNotes" in run(*demo.options, "verify", "fig3").stdout


def test_selection_moves_to_another_database_as_a_file(demo, empty, tmp_path):
    path = tmp_path / "fig3.json"
    demo.good("freeze", "fig3")
    demo.good("selections", "--export", "fig3", "--to", path)

    assert "was imported" in good("--url", empty, "selections", "--import", path)
    assert run("--url", empty, "verify", "fig3").exit_code == 1


def test_half_an_export_and_a_taken_name_are_refused(demo):
    demo.good("freeze", "fig3")

    assert "give both" in refused(*demo.options, "selections", "--export", "fig3", code=2)
    assert "fig3" in refused(*demo.options, "freeze", "Fig3", code=5)


def test_selection_is_renamed_and_deleted_from_the_shell(demo):
    demo.good("freeze", "fig3")

    assert demo.told("selections", "--rename", "fig3", "--as", "fig4")["name"] == "fig4"
    refused(*demo.options, "selections", "--rename", "fig4", code=2)
    refused(*demo.options, "selections", "--delete", "fig4", code=2)
    assert demo.told("selections", "--delete", "fig4", "--yes") == {"deleted": "fig4"}
    assert demo.told("selections") == []
