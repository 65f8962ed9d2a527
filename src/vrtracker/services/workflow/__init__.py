"""The work on sessions: queues, explanations, claims, runs, and what became outdated."""

from vrtracker.services.workflow.outdated import OutdatedPlan
from vrtracker.services.workflow.run_report import RunReport, RunResult
from vrtracker.services.workflow.service import WorkflowService

__all__ = ["OutdatedPlan", "RunReport", "RunResult", "WorkflowService"]
