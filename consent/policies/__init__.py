"""What each purpose and each age needs, per jurisdiction, with citations. Read by `consent.policy`."""
