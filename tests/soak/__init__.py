"""A region at work for long: `make soak`, never part of `make test`. SOAK_SEED, SOAK_DAYS and SOAK_PANELS set it."""
