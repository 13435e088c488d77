"""Rule sets and messages as data: values, citations, effective dates."""
