"""Signatures, checked by an independent implementation and by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from shared.deliveries.signatures import check_secret, new_secret, signature_headers

BODY = b'{"status": "completed"}'


def text_key(secret: str) -> str:
    """A secret of any text as the independent implementation takes it."""
    return "whsec_" + base64.b64encode(secret.encode()).decode()


@given(st.binary(max_size=200).map(lambda body: body.hex().encode()))
def test_it_is_a_standard_webhook(body: bytes) -> None:
    secret = new_secret()
    headers = signature_headers("evt_1", int(time.time()), body, [secret])
    Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers, json_parse=False)


def test_while_a_secret_is_rotated_old_and_new_receivers_accept() -> None:
    new, old = new_secret(), "an old one, of any text"
    headers = signature_headers("evt_1", int(time.time()), BODY, [new, old])
    Webhook(new).verify(BODY, headers)
    Webhook(text_key(old)).verify(BODY, headers)
    assert headers["X-Mixpeek-Signature"].count("v1=") == 2


def test_the_header_of_the_contract() -> None:
    headers = signature_headers("evt_1", 1_700_000_000, BODY, ["s"])
    expected = hmac.new(b"s", b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert headers["X-Mixpeek-Signature"] == f"t=1700000000,v1={expected}"


def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    headers = signature_headers("evt_1", 1_700_000_000, BODY, [])
    assert headers == {"webhook-id": "evt_1", "webhook-timestamp": "1700000000"}


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_not base 64", "whsec_" + "QUFB" * 30])
def test_a_standard_secret_must_be_one(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        check_secret(secret)


def test_any_other_text_is_a_secret() -> None:
    check_secret("plain")
    check_secret(new_secret())
