"""Composition root: CLI, settings, wiring, HTTP, auth, API, store, jobs."""
