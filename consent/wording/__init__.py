"""The wording shipped with the product, one file per text and language."""
