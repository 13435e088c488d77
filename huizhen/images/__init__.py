"""Image files: opened only in a bounded child, transcoded once, kept encrypted, told frame by frame."""
