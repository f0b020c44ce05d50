"""A client of the Millrace execution API. See Client."""
from . import types
from .client import Client, Feed, RunTimeout
from .errors import ApiError, ConnectionFailed, by_code
from .webhooks import WebhookInvalid, verify_webhook

__all__ = ["ApiError", "Client", "ConnectionFailed", "Feed", "RunTimeout", "WebhookInvalid", "by_code", "types", "verify_webhook"]
