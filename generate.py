"""`python -m generate` writes the files that are derived from the code."""

from __future__ import annotations

from pathlib import Path

from config.settings import env_example
from texts.filters_document import filters_document

ROOT = Path(__file__).parent
GENERATED = {
    Path(".env.example"): env_example,
    Path("docs/filters.md"): filters_document,
}
"""By path under the root of the tree."""


def main() -> None:
    for path, text in GENERATED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
