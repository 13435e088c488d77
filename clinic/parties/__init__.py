"""Who may consult whom: the directory of institutions, their cooperation agreements, and matching (rules 1.3)."""
