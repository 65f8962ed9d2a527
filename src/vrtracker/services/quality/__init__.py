"""Decisions of people: quality control of sessions, stages and datasets, and scratching."""

from vrtracker.services.quality.decisions import QualityService
from vrtracker.services.quality.reviews import ReviewService

__all__ = ["QualityService", "ReviewService"]
