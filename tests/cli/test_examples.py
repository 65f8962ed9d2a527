"""What the reference shows of a name works, and it shows each."""

from __future__ import annotations

import inspect
import shutil

import pytest

import vrtracker
from support.reference import STAND_INS, faults, has_example, public
from vrtracker.errors import VrtrackerError

UNSHOWN = """
"""
UNSHOWN_TOO = """
vrtracker.snapshots.Snapshot
vrtracker.snapshots.Snapshot.document
vrtracker.snapshots.Snapshot.facts
vrtracker.snapshots.Snapshot.open
vrtracker.snapshots.list_current_versions
vrtracker.snapshots.list_versions
vrtracker.snapshots.load_current
vrtracker.snapshots.load_version
vrtracker.services.workflow.WorkflowService
vrtracker.services.workflow.WorkflowService.needs
vrtracker.services.workflow.WorkflowService.registrar
vrtracker.services.workflow.WorkflowService.retry
vrtracker.services.workflow.WorkflowService.run
vrtracker.services.workflow.WorkflowService.state_counts
vrtracker.services.workflow.WorkflowService.states
vrtracker.services.workflow.WorkflowService.status
vrtracker.services.workflow.WorkflowService.table
vrtracker.services.workflow.WorkflowService.why_not
vrtracker.services.disk.datasets.DatasetService
vrtracker.services.disk.datasets.DatasetService.list
vrtracker.services.disk.datasets.DatasetService.prune
vrtracker.services.disk.datasets.DatasetService.records
vrtracker.services.disk.datasets.DatasetService.restore
vrtracker.services.disk.datasets.DatasetService.scan
vrtracker.services.disk.datasets.DatasetService.verify
vrtracker.services.experiments.ExperimentService
vrtracker.services.experiments.ExperimentService.assign
vrtracker.services.experiments.ExperimentService.combine
vrtracker.services.experiments.ExperimentService.config
vrtracker.services.experiments.ExperimentService.delete
vrtracker.services.experiments.ExperimentService.export
vrtracker.services.experiments.ExperimentService.frame
vrtracker.services.experiments.ExperimentService.list
vrtracker.services.experiments.ExperimentService.messages
vrtracker.services.experiments.ExperimentService.read
vrtracker.services.experiments.ExperimentService.record
vrtracker.services.experiments.ExperimentService.record_config
vrtracker.services.experiments.ExperimentService.record_message
vrtracker.services.experiments.ExperimentService.record_one
vrtracker.services.experiments.ExperimentService.record_strategy
vrtracker.services.experiments.ExperimentService.record_values
vrtracker.services.experiments.ExperimentService.replay
vrtracker.services.experiments.ExperimentService.restore
vrtracker.services.experiments.ExperimentService.setup
vrtracker.services.experiments.ExperimentService.summary
vrtracker.services.experiments.ExperimentService.to_csv
vrtracker.services.experiments.ExperimentService.trials
vrtracker.services.experiments.ExperimentService.whole
vrtracker.services.masks.MaskService
vrtracker.services.masks.MaskService.get
vrtracker.services.masks.MaskService.list
vrtracker.services.masks.MaskService.make
vrtracker.services.masks.MaskService.recompute
vrtracker.services.one.OneService
vrtracker.services.one.OneService.export
vrtracker.services.one.OneService.merge
vrtracker.services.one.OneService.read
vrtracker.services.rigs.RigService
vrtracker.services.rigs.RigService.add
vrtracker.services.rigs.RigService.diff
vrtracker.services.rigs.RigService.get
vrtracker.services.rigs.RigService.keep
vrtracker.services.rigs.RigService.list
vrtracker.services.rigs.RigService.of
vrtracker.services.rigs.RigService.point
vrtracker.services.rigs.RigService.set
vrtracker.services.rigs.RigService.validate
vrtracker.services.tracking.TrackingService
vrtracker.services.tracking.TrackingService.get
vrtracker.services.tracking.TrackingService.runs
vrtracker.services.tracking.TrackingService.table
vrtracker.services.selections.FrozenSessions
vrtracker.services.selections.FrozenSessions.export
vrtracker.services.selections.FrozenSessions.facts
vrtracker.services.selections.FrozenSessions.frame
vrtracker.services.selections.FrozenSessions.verify
vrtracker.services.administration.whole.LabDatabase
vrtracker.services.administration.whole.LabDatabase.analyze
vrtracker.services.administration.whole.LabDatabase.connect
vrtracker.services.administration.whole.LabDatabase.create
vrtracker.services.administration.whole.LabDatabase.create_tables
vrtracker.services.administration.whole.LabDatabase.dispose
vrtracker.services.administration.whole.LabDatabase.downgrade
vrtracker.services.administration.whole.LabDatabase.drop
vrtracker.services.administration.whole.LabDatabase.drop_tables
vrtracker.services.administration.whole.LabDatabase.exists
vrtracker.services.administration.whole.LabDatabase.facts
vrtracker.services.administration.whole.LabDatabase.is_update_required
vrtracker.services.administration.whole.LabDatabase.list_databases
vrtracker.services.administration.whole.LabDatabase.metadata_tables
vrtracker.services.administration.whole.LabDatabase.orm_tables
vrtracker.services.administration.whole.LabDatabase.perform_updates
vrtracker.services.administration.whole.LabDatabase.readers
vrtracker.services.administration.whole.LabDatabase.remember_password
vrtracker.services.administration.whole.LabDatabase.reset
vrtracker.services.administration.whole.LabDatabase.schema_description
vrtracker.services.administration.whole.LabDatabase.table_names
vrtracker.services.administration.whole.LabDatabase.vacuum
vrtracker.plots.Plots
vrtracker.plots.Plots.durations
vrtracker.plots.Plots.failures
vrtracker.plots.Plots.pipeline
vrtracker.plots.Plots.progress
vrtracker.plots.Plots.quality
vrtracker.plots.Plots.sizes
vrtracker.plots.Plots.stages
vrtracker.plots.Plots.throughput
vrtracker.plots.Plots.timeline
vrtracker.services.workflow.RunReport
vrtracker.services.workflow.RunReport.count
vrtracker.services.workflow.RunReport.facts
vrtracker.services.workflow.RunReport.frame
vrtracker.services.disk.ScanPlan
vrtracker.services.disk.ScanPlan.apply
vrtracker.services.disk.ScanPlan.facts
vrtracker.services.disk.ScanPlan.frame
vrtracker.services.disk.ReconcilePlan
vrtracker.services.disk.ReconcilePlan.apply
vrtracker.services.disk.ReconcilePlan.facts
vrtracker.services.disk.ReconcilePlan.frame
vrtracker.services.disk.ReconcilePlan.only
vrtracker.services.disk.ReconcilePlan.rows
vrtracker.services.disk.ReconcilePlan.save
vrtracker.services.disk.ReconcilePlan.undo
vrtracker.interop.antelop.Trials
vrtracker.interop.antelop.mask_function
vrtracker.interop.antelop.recompute_masks
vrtracker.interop.nwb.NwbExport
vrtracker.interop.nwb.NwbExport.facts
vrtracker.interop.nwb.NwbImportPlan
vrtracker.interop.nwb.NwbImportPlan.apply
vrtracker.interop.nwb.NwbImportPlan.facts
vrtracker.interop.nwb.export_many
vrtracker.interop.nwb.export_nwb
vrtracker.interop.nwb.import_nwb
"""


@pytest.fixture
def template(demo_template, tmp_path, monkeypatch):
    """Work in an empty folder, beside a demo of the test's own."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    return shutil.copytree(demo_template, tmp_path / "demo")


def test_every_example_of_the_reference_is_true(template):
    # A method of two classes is one.
    shown = {id(found): (name, found) for name, found in public() if has_example(found)}

    told = [faults("vrtracker", vrtracker, template)]
    told += [faults(name, found, template) for name, found in shown.values()]

    assert not any(told), "".join(told)


def test_an_example_that_is_not_true_is_noticed(template):
    def wrong():
        """Show it.

        >>> tracker.sessions.count()
        13
        """

    assert "Got:\n    12\n" in faults("wrong", wrong, template)


def test_every_name_of_the_reference_has_an_example():
    """Errors are left out: nobody calls them, and those who raise them are told of."""
    without = {
        name
        for name, found in public()
        if not name.startswith(STAND_INS)
        and not inspect.ismodule(found)
        and not (inspect.isclass(found) and issubclass(found, VrtrackerError))
        and not has_example(found)
    }

    assert without == set((UNSHOWN + UNSHOWN_TOO).split())
