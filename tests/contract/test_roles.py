"""Readers read, editors work, admins rule: by the server's users, elsewhere by the profile."""

from __future__ import annotations

import pytest
from psycopg import errors as refusals

import vrtracker
from support.postgres import put_programs_on_path
from support.registrars import good
from support.roles import People
from vrtracker.database.tables import TRACKED
from vrtracker.errors import ConfigurationError, RoleError, UnknownNameError, UnknownUserError
from vrtracker.services.administration import backups, migrating
from vrtracker.services.administration.opening import plain_lab
from vrtracker.settings import Settings

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
ON_POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
ON_FILES = pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
READER_WRITES = {
    "add": lambda tracker: tracker.mice.add("M9"),
    "update": lambda tracker: tracker.sessions.update({"sessionNotes": "mine"}, ONE),
    "delete": lambda tracker: tracker.sessions.delete(ONE),
    "run": lambda tracker: tracker.workflow.run("registration", registrar=good),
    "set_qc": lambda tracker: tracker.workflow.set_qc(ONE, "suite2p", "PASS"),
    "scratch": lambda tracker: tracker.workflow.scratch(ONE, "no"),
    "undo": lambda tracker: tracker.undo(last=True),
    "absorb": lambda tracker: tracker.absorb(),
}


@pytest.fixture
def people(lab, backend):
    with People(lab, backend) as made:
        lab.add(ONE)
        yield made


def settings_of(tracker) -> Settings:
    url = tracker.database.url.render_as_string(hide_password=False)
    return Settings(
        url=url,
        actor=tracker._lab.actor,
        roles={name: role.value for name, role in tracker._lab.roles.by_name.items()},
        safety_copies=False,
    )


def test_reader_looks_at_everything_and_writes_nothing(lab, people):
    lab.edit(ONE, sessionNotes="past the tracker")
    reader, before = people.having("reader"), lab.dump()

    assert reader.role == "reader"
    assert reader.sessions.count() == 1
    assert list(reader.workflow.needs("registration")["sessionID"]) == [1]
    assert not reader.history(ONE).empty
    for write in READER_WRITES.values():
        with pytest.raises(RoleError, match="needs editor; nothing was written") as refused:
            write(reader)
        assert (refused.value.role, refused.value.needed) == ("reader", "editor")
    assert lab.dump() == before
    assert lab.litter(ONE) == []


def test_editor_does_all_of_the_work_but_nothing_of_an_admin(lab, people, tmp_path):
    editor = people.having("editor")
    lab.folder(TWO).mkdir()

    editor.mice.add("M9", KO=True)
    editor.sessions.add_many([{"mouseName": "M1", "sessionDate": "2023-01-20", "sessionID": 2}])
    editor.sessions.update({"sessionNotes": "well"}, TWO)
    report = editor.workflow.run("registration", registrar=good)
    editor.workflow.set_dataset_qc(ONE, "oneData/trials.startTimes.npy", "WARNING")
    editor.workflow.scratch(TWO, "no")
    editor.undo(last=True).apply()
    editor.mice.delete("M9")
    editor.mice.restore("M9")
    editor.mice.delete("M9")
    lab.edit(ONE, sessionNotes="past the tracker")
    editor.absorb()

    assert [result.outcome for result in report.results] == ["succeeded", "succeeded"]
    assert not editor.verify().differences
    settings, copy = settings_of(editor), lab.tracker.back_up(tmp_path / "safe").path
    for rule in (
        lambda: editor.mice.purge("M9"),
        lambda: migrating.downgrade(settings, "0003"),
        lambda: backups.restore(plain_lab(editor.database.handle, settings), copy),
    ):
        with pytest.raises(RoleError, match="needs admin; nothing was written") as refused:
            rule()
        assert (refused.value.role, refused.value.needed) == ("editor", "admin")
    people.having("admin").mice.purge("M9")


@ON_FILES
def test_files_have_the_roles_of_the_profile(lab, people):
    listed = people.having("reader").roles()

    assert listed["role"].tolist() == ["reader", "admin"]
    assert listed["is_you"].tolist() == [True, False]
    assert listed["name"].isna().tolist() == [False, True]
    with pytest.raises(ConfigurationError, match=r"profiles.NAME.roles"):
        lab.tracker.grant("anna", "editor")


@ON_POSTGRESQL
def test_server_itself_holds_users_to_their_roles(people):
    reader, editor = (people.having(role)._lab.standing().name for role in ("reader", "editor"))
    reads = [f'SELECT count(*) FROM "{table}"' for table in (*TRACKED, "alembic_version")]
    writes = [f'DELETE FROM "{table}"' for table in TRACKED]
    writes += [f'INSERT INTO "{table}" DEFAULT VALUES' for table in TRACKED]
    writes += ["UPDATE sessiondb SET \"sessionNotes\" = 'mine'"]
    rules = ["DROP TABLE vrt_event", "TRUNCATE vrt_event", "ALTER TABLE mousedb ADD extra int"]
    rules += ["UPDATE alembic_version SET version_num = '0001'", "CREATE ROLE more"]
    rules += ["CREATE TABLE mine (a int)"]

    for statement in reads:
        people.asked(statement, reader)
    for name, statements in ((reader, [*writes, *rules]), (editor, rules)):
        for statement in statements:
            with pytest.raises(refusals.InsufficientPrivilege):
                people.asked(statement, name)


@ON_POSTGRESQL
def test_tables_of_later_revisions_are_covered_whoever_migrates(lab, people):
    before = [people.having(role) for role in ("reader", "editor")]
    admin, other = people.having("admin"), people.having("admin")
    after = [people.having(role) for role in ("reader", "editor")]
    settings = settings_of(admin)
    for tracker in (*before, admin, *after):
        tracker.close()
    lab.tracker.close()

    migrating.downgrade(settings, "0003")
    migrating.upgrade(settings)

    assert migrating.upgrade(settings_of(before[0])).copy is None
    assert [one.role for one in (*before, *after)] == ["reader", "editor"] * 2
    assert (admin.role, other.role) == ("admin", "admin")
    owners = people.asked("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert len(owners) == 1


@ON_POSTGRESQL
def test_names_are_quoted_and_users_must_exist(lab, people):
    odd = people.user('o\'Neil "x"; DROP TABLE vrt_event; --%s {name}')

    for role in ("editor", "reader"):
        lab.tracker.grant(odd, role)
        assert lab.tracker.roles().set_index("name")["role"][odd] == role
    lab.tracker.revoke(odd)
    with pytest.raises(UnknownUserError, match='CREATE ROLE "nobody" LOGIN'):
        lab.tracker.grant("nobody", "reader")
    with pytest.raises(UnknownNameError, match="role 'writer'"):
        lab.tracker.grant(odd, "writer")
    assert odd not in set(lab.tracker.roles()["name"])
    with pytest.raises(
        RoleError, match=r"Ask an admin to run: vrtracker .* admin grant"
    ) as refused:
        vrtracker.open(people.url(odd))
    assert odd not in str(refused.value).partition("--url")[2].partition(" admin ")[0]


@ON_POSTGRESQL
def test_admins_give_and_take_roles_of_others(people):
    anna, bob = people.having("admin"), people.user("bob")

    anna.grant(bob, "admin")
    people.named(bob).grant(people.user("carl"), "reader")
    anna.grant(bob, "editor")

    assert sorted(anna.roles()["role"])[-2:] == ["editor", "reader"]
    superuser = people.lab.tracker._lab.standing().name
    with pytest.raises(RoleError, match="the role admin all the same: as a superuser"):
        people.lab.tracker.grant(superuser, "reader")


@ON_POSTGRESQL
def test_owner_that_is_no_superuser_makes_admins_and_stays_one(lab, people):
    owner, anna = people.user("owner", may="CREATEROLE"), people.user("anna")
    people.asked(f'ALTER DATABASE "{people.database}" OWNER TO "{owner}"')
    tables = people.asked("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        people.asked(f'ALTER TABLE "{table}" OWNER TO "{owner}"')

    people.named(owner).grant(anna, "admin")

    assert people.named(owner).role == people.named(anna).role == "admin"


@ON_POSTGRESQL
def test_role_is_asked_for_once_and_a_lost_one_is_told(lab, people, statement_counter):
    editor = people.having("editor")
    editor.mice.add("M8")

    with statement_counter() as seen:
        editor.mice.add("M9")
    assert not [text for text in seen.statements if "privilege" in text]
    lab.tracker.grant(editor._lab.standing().name, "reader")
    with pytest.raises(RoleError, match="permission denied for table"):
        editor.mice.add("M10")
    with pytest.raises(RoleError, match="role reader"):
        people.named(editor._lab.database.url.username).mice.add("M10")


@ON_POSTGRESQL
def test_restoring_keeps_the_roles(lab, backend, people, tmp_path, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    roles = ["reader", "editor", "admin", "admin"]
    trackers = [people.having(role) for role in roles]
    copy = people.named(trackers[0].database.url.username).back_up(tmp_path / "safe")
    for tracker in (*trackers, lab.tracker):
        tracker.close()

    for url in (lab.url, people.url(trackers[-1].database.url.username)):
        vrtracker.restore(url, copy.path, save=False)

        assert [tracker.role for tracker in trackers] == roles
        for tracker in trackers:
            tracker.close()
