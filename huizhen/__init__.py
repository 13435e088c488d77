"""Composition root: CLI, settings, wiring, HTTP, auth, API, store, jobs."""

__version__ = "0.1.0"
