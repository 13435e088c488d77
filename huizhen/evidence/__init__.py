"""Consent on paper and in the patient's hand: PDF/A, signatures, stamps, receipts (docs/consent-evidence.md)."""
