"""Documents whose every fault costs as little as it can.

The strict decoder comes first, and for nearly every document alone. What it refuses is read once more, with texts
and numbers mended that are none, and with figures moved to the bound that they miss by a rounding error. Whatever is
really out of bounds, or of another type, is refused all the same.
"""

from __future__ import annotations

import math
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import inspect

from managers.feed.sources.base import clamped
from managers.http.json_repair import decoded

T = TypeVar("T")

_ANYTHING: Final = msgspec.json.Decoder[Any]()

_Bounds = tuple[float, float]
_Figures = dict[str, "_Bounds | _Figures"]
"""Bounds of the numbers in an object by their names, and the objects in it likewise."""


class LenientDecoder(Generic[T]):
    def __init__(self, kind: Any) -> None:
        """`kind`: a struct, or a union of tagged ones."""
        self._kind = kind
        self.strict: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._figures = _figures(inspect.type_info(kind))

    def decode(self, document: bytes) -> T:
        """`ValueError` or `RecursionError` for what cannot be read."""
        try:
            return self.strict.decode(document)
        except msgspec.ValidationError:
            rounded = decoded(_ANYTHING, document)
        except ValueError:
            try:
                return decoded(self.strict, document)
            except msgspec.ValidationError:
                rounded = decoded(_ANYTHING, document)
        _round(rounded, self._figures)
        return msgspec.convert(rounded, self._kind)


def _round(document: object, figures: _Figures) -> None:
    if not isinstance(document, dict):
        return
    members = cast("dict[str, object]", document)
    for name, bounds in figures.items():
        value = members.get(name)
        if isinstance(bounds, dict):
            _round(value, bounds)
        elif isinstance(value, float):
            number = clamped(value, *bounds)
            members[name] = value if number is None else number


def _figures(kind: inspect.Type) -> _Figures:
    match kind:
        case inspect.StructType(fields=fields):
            found = ((field.encode_name, _figure(field.type)) for field in fields)
            return {name: bounds for name, bounds in found if bounds}
        case inspect.UnionType(types=types):
            # Members of one name have the same bounds in all of our structs.
            return {name: bounds for one in types for name, bounds in _figures(one).items()}
        case _:
            return {}


def _figure(kind: inspect.Type) -> _Bounds | _Figures | None:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for one in kinds:
        if isinstance(one, inspect.FloatType) and (one.ge is not None or one.le is not None):
            return (-math.inf if one.ge is None else one.ge, math.inf if one.le is None else one.le)
    return _figures(kind)
