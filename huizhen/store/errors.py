"""What can go wrong below the rows. Each means: nothing of the transaction was kept."""


class StoreError(Exception):
    """Base; `code` is stable."""

    code = "store.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class StoreFull(StoreError):
    """The disk or the database is full."""

    code = "store.full"


class StoreBusy(StoreError):
    """Another process held the write lock for longer than the busy timeout."""

    code = "store.busy"


class StoreUnavailable(StoreError):
    """Input/output error, unreadable file, lost connection."""

    code = "store.unavailable"


class SchemaOutdated(StoreError):
    """The database is not at this version's schema: run `huizhen migrate`."""

    code = "store.schema_outdated"


class KeyMissing(StoreError):
    """No such key and no tombstone either: it was lost, not destroyed."""

    code = "store.key_missing"


class KeysUnreadable(StoreError):
    """The key-encryption key does not open the stored keys, or a backup's passphrase is wrong."""

    code = "store.keys_unreadable"


class BlobMissing(StoreError):
    code = "store.blob_missing"


class BlobConflict(StoreError):
    """The key holds other bytes already: sealed files are never overwritten."""

    code = "store.blob_conflict"


class BlobDamaged(StoreError):
    """What was read back is not what was written."""

    code = "store.blob_damaged"
