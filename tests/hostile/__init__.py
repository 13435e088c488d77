"""Strangers, guessers and the merely curious: each test is an attack that once worked, or must never."""
