"""FHIR R4: rows of a consult told as resources. Pure mappings; `classes` checks them against the standard's own."""
