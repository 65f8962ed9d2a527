"""The lab by HTTP: the API under ``/api/v1`` for rigs, scripts and pages; extra ``web``."""
