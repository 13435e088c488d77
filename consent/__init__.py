"""Versioned wording, signing, withdrawal, the gate, evidence."""
