"""`python -m config.generate` writes the files that are derived from the code."""

from __future__ import annotations

from pathlib import Path

from config.settings import env_example

GENERATED = {Path(".env.example"): env_example}


def main() -> None:
    for path, text in GENERATED.items():
        path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
