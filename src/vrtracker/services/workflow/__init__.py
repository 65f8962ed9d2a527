"""The work on sessions: queues, explanations, claims, runs, and what became outdated."""

from vrtracker.services.workflow.service import WorkflowService

__all__ = ["WorkflowService"]
