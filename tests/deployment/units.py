"""Units as systemd reads them, as far as ours need it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.e2e.bot_process import ROOT

UNITS: Final = ROOT / "systemd"


@dataclass(frozen=True, slots=True)
class Unit:
    sections: Mapping[str, tuple[tuple[str, str], ...]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the sections with their settings, in order; comments are left out."""
        sections: dict[str, list[tuple[str, str]]] = {}
        inside: list[tuple[str, str]] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                inside = sections.setdefault(line.strip("[]"), [])
            elif line and line[0] not in "#;":
                name, _, value = line.partition("=")
                inside.append((name, value))
        return cls({name: tuple(settings) for name, settings in sections.items()})

    def moved(self, places: Mapping[str, str]) -> Self:
        """The same with other directories in its values."""

        def there(value: str) -> str:
            for place, other in places.items():
                value = value.replace(place, other)
            return value

        return type(self)(
            {name: tuple((at, there(value)) for at, value in settings) for name, settings in self.sections.items()}
        )

    def having(self, **values: str) -> Self:
        """The same with other values of settings that it has."""
        return type(self)(
            {
                name: tuple((at, values.get(at, value)) for at, value in settings)
                for name, settings in self.sections.items()
            }
        )

    def settings(self, section: str) -> tuple[tuple[str, str], ...]:
        return self.sections[section]

    def each(self, name: str) -> list[str]:
        """Return the values of a setting, wherever it stands."""
        return [value for settings in self.sections.values() for at, value in settings if at == name]

    def value(self, name: str) -> str:
        (only,) = self.each(name)
        return only

    def seconds(self, name: str) -> float:
        return float(self.value(name))

    def bytes(self, name: str) -> int:
        found = re.fullmatch(r"(\d+)([MG])", self.value(name))
        assert found
        return int(found[1]) << {"M": 20, "G": 30}[found[2]]

    def environment(self) -> dict[str, str]:
        """Return what `Environment=` says."""
        words = [word for value in self.each("Environment") for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)
