"""One event on its way to one channel, as workers and readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DeliveryStatus = Literal["pending", "sending", "delivered", "failed"]

EXCERPT_BYTES = 300


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel of one owner: what holds up nobody but itself."""

    owner_id: str
    channel: int  # its place in the owner's list

    def __str__(self) -> str:
        return f"{self.owner_id}/{self.channel}"


def parse_lane(text: str) -> Lane:
    owner_id, _, channel = text.partition("/")
    return Lane(owner_id, int(channel))


@dataclass(frozen=True, slots=True)
class TakenDelivery:
    """What a worker was given to send; `epoch` fences it, as it does an execution."""

    delivery_id: str
    epoch: int
    lane: Lane
    event_id: str
    event_type: str
    payload: bytes
    tries: int  # this one included
    timeout_s: float


class Attempt(BaseModel):
    """How one try went."""

    model_config = ConfigDict(frozen=True)

    attempted_at: str
    duration_ms: int
    status_code: int | None = None
    error: str | None = Field(None, description="Null when it was delivered.")
    response: str | None = Field(None, description="The first bytes of the answer's body.")
