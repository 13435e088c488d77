"""Retention policies as data: versioned, cited, with effective dates."""
