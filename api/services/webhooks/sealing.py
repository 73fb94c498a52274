"""Channels at rest: URLs, headers and secrets are no one else's, so Redis holds them sealed."""

from __future__ import annotations

import anyio.to_thread

from shared.models.channel import Channels, channels_from_json, channels_to_json
from shared.vault import Vault


class ChannelVault:
    """Both methods read a file the first time, so they do not run in the loop.

    They raise Unavailable when the key file cannot be used, or is not the one that sealed the channels.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def sealed(self, channels: Channels) -> str:
        return await anyio.to_thread.run_sync(self._vault.seal, channels_to_json(channels))

    async def opened(self, *sealed: str) -> list[Channels]:
        """Of each of these, in their order."""
        return await anyio.to_thread.run_sync(self._opened, sealed)

    def _opened(self, sealed: tuple[str, ...]) -> list[Channels]:
        return [channels_from_json(self._vault.unseal(each)) for each in sealed]
