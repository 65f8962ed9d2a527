"""The project keeps its conventions, and each rule's check can fail."""

from __future__ import annotations

import pytest

from support.conventions import RULES, Rule, broken_in_project, rule_ids

BROKEN = [
    pytest.param(rule, text, id=f"{rule.name}-{number}")
    for rule in RULES
    for number, text in enumerate(rule.broken)
]
KEPT = [
    pytest.param(rule, text, id=f"{rule.name}-{number}")
    for rule in RULES
    for number, text in enumerate(rule.kept)
]


@pytest.mark.parametrize("rule", RULES, ids=rule_ids())
def test_rule_is_kept_by_the_project(rule: Rule):
    found = broken_in_project().get(rule.name)

    assert found is not None, f"the rule {rule.name} reads no file at all"
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_rule_notices_what_breaks_it(rule: Rule, text: str):
    assert list(rule.find(text))


@pytest.mark.parametrize(("rule", "text"), KEPT)
def test_rule_leaves_what_keeps_it_alone(rule: Rule, text: str):
    assert not list(rule.find(text))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("commit", "src/vrtracker/services/workflow/service.py"),
        ("select", "src/vrtracker/frames.py"),
        ("dialect", "src/vrtracker/models/base.py"),
        ("print", "src/vrtracker/demo.py"),
        ("frozen_revisions", "migrations/versions/0001_first.py"),
        ("length", "src/vrtracker/backends/access/odbc.py"),
    ],
)
def test_rule_reports_file_and_line(name: str, path: str):
    rule = next(rule for rule in RULES if rule.name == name)
    text = rule.broken[0]

    assert rule.violations(path, text)[0].startswith(f"{path}:{next(rule.find(text))}: ")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("commit", "src/vrtracker/unit_of_work.py"),
        ("select", "src/vrtracker/repositories/sessions.py"),
        ("dialect", "src/vrtracker/backends/sqlite.py"),
        ("print", "src/vrtracker/cli/needs.py"),
        ("frozen_revisions", "migrations/env.py"),
    ],
)
def test_rule_allows_its_home(name: str, path: str):
    rule = next(rule for rule in RULES if rule.name == name)

    assert not rule.violations(path, rule.broken[0])
