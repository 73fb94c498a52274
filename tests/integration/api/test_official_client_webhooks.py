"""The field's existing client manages webhooks and parses every answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.webhooks_api import WebhooksApi
from mixpeek.exceptions import NotFoundException, UnprocessableEntityException
from mixpeek.models.configs import Configs
from mixpeek.models.list_webhooks_request import ListWebhooksRequest
from mixpeek.models.slack_config import SlackConfig
from mixpeek.models.webhook_channel_input import WebhookChannelInput
from mixpeek.models.webhook_config import WebhookConfig
from mixpeek.models.webhook_event_type import WebhookEventType
from mixpeek.models.webhook_input import WebhookInput

from shared.models.webhook import EVENT_TYPES
from tests.conftest import API_KEY

HOOK = WebhookConfig(url="https://example.com/in", headers={"X-A": "b"}, signing_secret="hidden")
SLACK = SlackConfig(webhook_url="https://hooks.example.com/x", channel="#ops")


@pytest.fixture
def webhooks(api_url: str) -> Iterator[WebhooksApi]:
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        yield WebhooksApi(client)


def wanted(*events: WebhookEventType) -> WebhookInput:
    return WebhookInput(
        webhook_name="results",
        event_types=list(events),
        channels=[
            WebhookChannelInput(channel="webhook", configs=Configs(HOOK)),
            WebhookChannelInput(channel="slack", configs=Configs(SLACK)),
        ],
    )


def test_a_webhook_from_its_making_to_its_end(webhooks: WebhooksApi) -> None:
    made = webhooks.create_webhook_organizations(wanted(WebhookEventType.RESOURCE_DOT_EXECUTED))
    hook, slack = (each.configs.actual_instance for each in made.channels)
    assert (hook.url, hook.headers, hook.signing_secret, hook.timeout) == (
        "https://example.com/in",
        {"X-A": "b"},
        "redacted",
        10.0,
    )
    assert (slack.webhook_url, slack.channel) == ("https://hooks.example.com/x", "#ops")
    assert (made.is_active, made.delivery_health) == (True, None)

    request = wanted(WebhookEventType.RESOURCE_DOT_EXECUTION_FAILED)
    request.is_active = False
    changed = webhooks.update_webhook_organizations(made.webhook_id, request)
    assert (changed.is_active, changed.event_types) == (False, ["resource.execution_failed"])
    assert webhooks.get_webhook_organizations(made.webhook_id) == changed

    asked = ListWebhooksRequest(event_type="resource.execution_failed", is_active=False)
    listed = webhooks.list_webhooks_organizations(list_webhooks_request=asked)
    assert made.webhook_id in [each.webhook_id for each in listed.results]
    assert listed.total >= 1
    for _ in range(2):
        assert webhooks.delete_webhook_organizations(made.webhook_id) is None
    with pytest.raises(NotFoundException):
        webhooks.get_webhook_organizations(made.webhook_id)


def test_an_event_that_never_happens_is_refused(webhooks: WebhooksApi) -> None:
    with pytest.raises(UnprocessableEntityException) as refused:
        webhooks.create_webhook_organizations(wanted(WebhookEventType.DOCUMENT_DOT_CREATED))
    assert "document.created does not happen" in refused.value.data.error.message


def test_the_event_types_are_those_of_the_client() -> None:
    assert set(EVENT_TYPES) == {each.value for each in WebhookEventType}
