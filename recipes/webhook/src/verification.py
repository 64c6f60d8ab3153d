"""Signatures of incoming webhooks: HMAC-SHA256 over id, time and body, or a compact JWS."""

import base64
import binascii
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

TOLERANCE_SECONDS = 300


class Rejected(Exception):
    """The message is not from whom it claims to be, or too old."""


def check_hmac(secret: str, message_id: str, timestamp: str, signatures: str, body: bytes, now: float | None = None) -> None:
    """Checks a message signed as https://www.standardwebhooks.com says.

    `signatures` holds one or more of `v1,BASE64`, separated by spaces: senders change secrets without a gap.
    """
    try:
        sent = int(timestamp)
    except ValueError:
        raise Rejected("the timestamp is not a number") from None
    if abs((time.time() if now is None else now) - sent) > TOLERANCE_SECONDS:
        raise Rejected("the message is too old, or from the future")
    for signature in signatures.split():
        version, _, encoded = signature.partition(",")
        if version != "v1":
            continue
        mac = hmac.HMAC(secret.encode(), hashes.SHA256())
        mac.update(f"{message_id}.{sent}.".encode() + body)
        try:
            mac.verify(base64.b64decode(encoded, validate=True))
        except (InvalidSignature, binascii.Error):
            continue
        return
    raise Rejected("no signature fits")


def open_jws(public_key: str, token: str) -> bytes:
    """Returns the payload of a compact JWS that the key's owner signed."""
    try:
        jws = JWS()
        jws.allowed_algs = ["ES256", "EdDSA", "RS256"]
        jws.deserialize(token, JWK.from_json(public_key))
    except JWException as error:
        raise Rejected(f"the token does not verify: {type(error).__name__}") from None
    return jws.payload
