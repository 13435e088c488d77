"""Uploaded papers: received with a limit, opened only in a bounded child process, cleaned, or refused with a code."""
