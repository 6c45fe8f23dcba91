"""What the API answers when it refuses."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, Any]:
        return {"status": False, "statusCode": self.status, "code": self.code, "message": self.message}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BAD_REQUEST", message)


def invalid_params(message: str) -> ApiError:
    return ApiError(400, "INVALID_REQUEST_PARAMS", message)


def too_small(amount: str) -> ApiError:
    return ApiError(400, "AMOUNT_MINIMAL_ERROR", f"Crypto amount {amount} is less than minimal")


def not_found(message: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", message)
