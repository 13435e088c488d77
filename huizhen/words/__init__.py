"""Wording as data."""
