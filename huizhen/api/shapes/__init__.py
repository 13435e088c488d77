"""Pydantic models of every body and answer."""
