"""Verification of webhooks by the public scheme "Standard Webhooks", version 1 (HMAC-SHA256)."""
import base64
import binascii
import hashlib
import hmac
import time


class WebhookInvalid(Exception):
    """The message was not sent by the holder of the secret, was changed, or is too old."""


def _key(secret):
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not whsec_ followed by base64") from None


def verify_webhook(secrets, headers, body, tolerance=300, now=None):
    """Raises WebhookInvalid unless `body` (the bytes as received) was signed with one of the secrets.

    secrets: a secret, or a list of them while a secret is replaced. headers: a mapping. tolerance: seconds by which the clocks may
    differ. A message can be delivered more than once: the header webhook-id tells."""
    if isinstance(body, str):
        body = body.encode()
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        id, sent, signatures = (lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as e:
        raise WebhookInvalid(f"the header {e.args[0]} is missing") from None
    if not (sent.isascii() and sent.isdigit()):
        raise WebhookInvalid("webhook-timestamp is not a number")
    if abs((time.time() if now is None else now) - int(sent)) > tolerance:
        raise WebhookInvalid("webhook-timestamp is too far from the present time")
    content = f"{id}.{sent}.".encode() + body
    right = [hmac.new(_key(s), content, hashlib.sha256).digest() for s in ([secrets] if isinstance(secrets, str) else secrets)]
    for signature in signatures.split():
        version, _, text = signature.partition(",")
        try:
            given = base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
        if version == "v1" and any(hmac.compare_digest(given, r) for r in right):
            return
    raise WebhookInvalid("no signature fits")
