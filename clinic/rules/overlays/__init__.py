"""Overlays on the national rule sets: one JSON file each, checked against the set they change."""
