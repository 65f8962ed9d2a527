"""Caches of ONE: the lab's sessions and datasets written for ONE-api, and those of others read."""

from vrtracker.services.one.service import OneImportPlan, OneService

__all__ = ["OneImportPlan", "OneService"]
