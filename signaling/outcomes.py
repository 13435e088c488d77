"""The acks of recent operations, so that a resend after a lost ack is told what happened the first time.

The database refuses a second use of an operation id for ever; this memory only makes the second answer as good as
the first (an invitation's link, a refusal's reasons). Bounded: the oldest finished outcomes are forgotten, and
then the resend is answered `{ok, repeated}`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

Ack = dict[str, Any]
KEPT = 4096


class Outcomes:
    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._done: OrderedDict[tuple[str, str], asyncio.Future[Ack]] = OrderedDict()

    async def once(self, actor: str, op: str, act: Callable[[], Awaitable[Ack]]) -> Ack:
        """Run `act`, or repeat the outcome of its earlier run. An exception is nobody else's outcome."""
        key = (actor, op)
        while (known := self._done.get(key)) is not None:
            try:
                return {**await asyncio.shield(known), "repeated": True}
            except asyncio.CancelledError:
                if not known.cancelled():
                    raise  # the waiting caller itself was cancelled
        outcome: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._done[key] = outcome
        try:
            ack = await act()
        except BaseException:
            del self._done[key]
            outcome.cancel()  # whoever waited runs it anew
            raise
        outcome.set_result(ack)
        while len(self._done) > self._kept:
            self._done.popitem(last=False)
        return ack
