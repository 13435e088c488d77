"""Expert consults between institutions: request, answers, opinions, report, decision (domain-rules 1.3)."""
