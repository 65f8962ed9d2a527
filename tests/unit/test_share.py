"""What travels to a worker."""

from __future__ import annotations

import pickle
import platform

from vrtracker.database import Database
from vrtracker.domain.stages import StageGraph
from vrtracker.registrars import registrar_from
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.engines import engine_for
from vrtracker.services.workflow.run_report import RunOptions
from vrtracker.services.workflow.share import Recipe

URL = "postgresql://ada:secret@db.example.org/lab?password=secret"


def recipe(**more) -> Recipe:
    lab = LabContext(database=Database(URL), stages=StageGraph(), actor="ada", **more)
    options = RunOptions(filters={}, progress=print)
    return Recipe.of(lab, "registration", registrar_from("alf"), options)


def test_no_password_travels_to_processes_of_others():
    sent = pickle.dumps(recipe())

    assert b"secret" not in sent
    assert pickle.loads(sent).here().lab.database.url.password is None


def test_processes_of_our_own_have_the_password():
    engine = engine_for(None, 1)
    engine.prepare(recipe())

    assert pickle.loads(engine._recipe).here().lab.database.url.password == "secret"


def test_each_worker_names_its_own_computer_unless_the_lab_does():
    assert recipe().host_name is None
    assert recipe().here().lab.host_name == platform.node()
    assert recipe(host_name="rig").here().lab.host_name == "rig"
