"""The image table: studies of one consult, who may open them, and what several people see of them at once."""
