"""Small texts under a consult's key: they open in their row only, and not after the key is gone."""

from pathlib import Path

import pytest

from audit.leaf import payload_key_id
from huizhen.store.errors import BlobDamaged
from huizhen.store.keys import FileKeyRing
from huizhen.store.locker import KeyLocker
from recording.errors import KeyDestroyed


async def test_a_text_opens_in_its_own_row_and_with_its_own_key(tmp_path: Path) -> None:
    keys = FileKeyRing(tmp_path / "keys")
    locker = KeyLocker(keys)
    sealed = await locker.lock("i1", "c1", "r1", "某路 1 号")
    assert "某路" not in sealed
    assert await locker.lock("i1", "c1", "r1", "某路 1 号") != sealed
    assert await locker.unlock("i1", "c1", "r1", sealed) == "某路 1 号"
    await locker.lock("i1", "c2", "r1", "x")
    for consult, row in (("c1", "r2"), ("c2", "r1")):
        with pytest.raises(BlobDamaged):
            await locker.unlock("i1", consult, row, sealed)
    await keys.destroy("i1", payload_key_id("c1"))
    with pytest.raises(KeyDestroyed):
        await locker.unlock("i1", "c1", "r1", sealed)
    keys.close()
