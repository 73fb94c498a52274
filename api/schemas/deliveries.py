"""Deliveries: what a client gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.common import Pagination
from shared.models.delivery import Attempt, DeliveryStatus

# One that is being sent right now is listed with those that wait.
ListedStatus = Literal["pending", "delivered", "failed"]


class _Delivery(BaseModel):
    delivery_id: str
    channel: Annotated[int, Field(description="Its place in `channels`.")]
    event_id: Annotated[str, Field(description="The same in all tries and redeliveries: `webhook-id`.")]
    event_type: str
    status: DeliveryStatus
    tries: Annotated[int, Field(description="Since it was made or redelivered.")]
    created_at: str
    next_attempt_at: Annotated[str | None, Field(description="Null unless it waits.")]
    payload: dict[str, Any]
    attempts: Annotated[list[Attempt], Field(description="Oldest first; the last 50.")]


class Delivery(_Delivery):
    """One event on its way to one channel of a webhook."""

    webhook_id: str


class AlertDelivery(_Delivery):
    """An alert on its way to one of its channels."""

    alert_id: str


class DeliveryList(BaseModel):
    results: list[Delivery]
    pagination: Pagination
    total: int


class AlertDeliveryList(BaseModel):
    results: list[AlertDelivery]
    pagination: Pagination
    total: int


class WebhookTest(BaseModel):
    """A test is on its way to each channel."""

    event_id: str
    delivery_ids: Annotated[list[str], Field(description="In the order of the channels.")]
