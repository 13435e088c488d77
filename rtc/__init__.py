"""Media plane: rooms and packets, never patients."""
