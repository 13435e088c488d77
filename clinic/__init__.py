"""The consult itself: lifecycle, admission rules, panels, opinions, people and roles. Pure domain."""
