"""Waiting for something to become true, with a deadline (asyncio)."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

_CHECK_EVERY = 0.02


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 20.0) -> None:
    """Return once `condition` holds, looked at again and again. Raises `TimeoutError`.

    For what nobody announces: a socket that appears, a process of another session that ends.
    """
    async with asyncio.timeout(within):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(_CHECK_EVERY)
