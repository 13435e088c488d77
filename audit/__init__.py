"""The tamper-evident trail: events, Merkle log, checkpoints, proofs, independent verifier."""
