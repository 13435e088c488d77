"""The second half of a restriction in a room: what was done at once is committed, and the rows say how it stands."""

from collections.abc import Awaitable, Callable

from signaling.live import Live
from signaling.outcomes import Ack
from signaling.room import LiveRoom


async def committed_after(
    live: Live,
    room: LiveRoom,
    what: str,
    commit: Callable[[], Awaitable[object]],
    settled: Callable[[], Awaitable[object]],
) -> Ack:
    """`settled` follows the commit, a refusal, or the end of the retries in the background; until then it stands as
    done, and the page is told that it is pending.
    """
    try:
        committed = await live.commit_restriction(what, commit, settled)
    except BaseException:
        await settled()
        raise
    if committed:
        await settled()
        return {"ok": True}
    async with room.lock:
        live.sync(room)
        await live.people_changed(room)
    return {"ok": True, "pending": True}
