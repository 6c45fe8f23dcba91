"""Parameters of a call, read as strictly as Agave reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeGuard

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana.cluster import Commitment
from sandbox.payments.solana.errors import invalid_params

_PUBKEY_TEXT_MAX = 44
_SIGNATURE_TEXT_MAX = 88


class Params:
    """Positional ones; what is beyond `most` is refused."""

    def __init__(self, raw: Any, *, least: int = 0, most: int) -> None:
        if raw is None:
            raw = []
        if not isinstance(raw, list):
            raise invalid_params("Invalid params: invalid type: map, expected a sequence.")
        self._values: list[Any] = raw
        if len(self._values) < least:
            raise invalid_params(f"`params` should have at least {least} argument(s)")
        if len(self._values) > most:
            wanted = f"Expected from {least} to {most} parameters."
            raise invalid_params(f"Invalid parameters: {wanted}")

    def at(self, index: int) -> Any:
        return self._values[index] if index < len(self._values) else None

    def text(self, index: int) -> str:
        return text(self.at(index))

    def pubkey(self, index: int) -> Pubkey:
        return pubkey(self.at(index))

    def signature(self, index: int) -> Signature:
        return signature(self.at(index))

    def config(self, index: int) -> Config:
        value = self.at(index)
        if value is None:
            value = {}
        if not is_object(value):
            raise invalid_params(f"Invalid params: invalid type: {described(value)}, expected a configuration object.")
        return Config(value)


class Config:
    """The object at the end of a call's parameters; names that are not known are ignored, as by Agave."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid_params(f"Invalid params: invalid type: {described(value)}, expected a boolean.")
        return value

    def whole(self, name: str) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid_params(f"Invalid params: invalid type: {described(value)}, expected usize.")
        if value < 0:
            raise invalid_params(f"Invalid params: invalid value: {described(value)}, expected usize.")
        return value

    def signature(self, name: str) -> Signature | None:
        return signature(self._values[name]) if self.has(name) else None

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self._values.get(name)
        if value is None:
            return default
        if value not in choices:
            offered = ", ".join(f"`{choice}`" for choice in choices)
            raise invalid_params(f"Invalid params: unknown variant `{value}`, expected one of {offered}.")
        return text(value)

    def commitment(self, name: str = "commitment", *, at_least_confirmed: bool = False) -> Commitment:
        chosen = Commitment(self.choice(name, list(Commitment), Commitment.FINALIZED))
        if at_least_confirmed and chosen is Commitment.PROCESSED:
            raise invalid_params("Method does not support commitment below `confirmed`")
        return chosen


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def strings(value: Any, most: int) -> list[Any]:
    if not is_list(value):
        raise invalid_params(f"Invalid params: invalid type: {described(value)}, expected a sequence.")
    if len(value) > most:
        raise invalid_params(f"Too many inputs provided; max {most}")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid_params(f"Invalid params: invalid type: {described(value)}, expected a string.")
    return value


def pubkey(value: Any) -> Pubkey:
    given = text(value)
    if len(given) > _PUBKEY_TEXT_MAX:
        raise invalid_params("Invalid param: WrongSize")
    try:
        return Pubkey.from_string(given)
    except ValueError as error:
        raise invalid_params(f"Invalid param: {_kind(error)}") from error


def signature(value: Any) -> Signature:
    given = text(value)
    if len(given) > _SIGNATURE_TEXT_MAX:
        raise invalid_params("Invalid param: WrongSize")
    try:
        return Signature.from_string(given)
    except ValueError as error:
        raise invalid_params(f"Invalid param: {_kind(error)}") from error


def blockhash(value: Any) -> Hash:
    try:
        return Hash.from_string(text(value))
    except ValueError as error:
        raise invalid_params(f"Invalid param: {_kind(error)}") from error


def described(value: Any) -> str:
    """Name a JSON value as Rust's serde does."""
    if value is None:
        return "null"
    spelled = json.dumps(value, ensure_ascii=False)
    names = (
        (bool, f"boolean `{spelled}`"),
        (int, f"integer `{spelled}`"),
        (float, f"floating point `{spelled}`"),
        (str, f"string {spelled}"),
        (list, "sequence"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "map")


def _kind(error: ValueError) -> str:
    return "WrongSize" if "wrong size" in str(error).lower() else "Invalid"
