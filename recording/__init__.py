"""Tap on a room, crash-safe encrypted segments, sealed recording; playback."""
