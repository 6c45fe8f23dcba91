"""The JWT that lists of payments want beside the key: from e-mail and password, good for five minutes."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable

from sandbox.payments.nowpayments.errors import ApiError
from sandbox.payments.nowpayments.signing import is_object

LIFETIME_S = 300


class Tokens:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def issue(self) -> str:
        now_s = int(self._clock())
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _encode(json.dumps({"id": "5372", "iat": now_s, "exp": now_s + LIFETIME_S}).encode())
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def check(self, header: str) -> None:
        """Raise the answer for a missing, wrong or old token."""
        kind, _, token = header.partition(" ")
        if kind != "Bearer" or not token:
            raise ApiError(401, "AUTH_REQUIRED", "Authorization header is empty (Bearer JWTtoken is required)")
        signed, _, given = token.rpartition(".")
        if not hmac.compare_digest(self._sign(signed).encode(), given.encode()):
            raise ApiError(403, "INVALID_TOKEN", "Access denied: invalid token")
        claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        if not is_object(claims) or claims["exp"] <= self._clock():
            raise ApiError(403, "TOKEN_EXPIRED", "Access denied: token expired")

    def _sign(self, text: str) -> str:
        return _encode(hmac.digest(self._secret, text.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
