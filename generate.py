"""`python -m generate` writes the files that are derived from the code."""

from __future__ import annotations

from pathlib import Path

from bot.jobs import jobs_table
from composition.bot import job_specs
from config.settings import env_example
from deploy.monitoring import dashboard
from texts.filters_document import filters_document

ROOT = Path(__file__).parent
ARCHITECTURE = Path("docs/architecture.md")


def architecture() -> str:
    """The page as it is, with its table of jobs as the rows say."""
    before, _, rest = (ROOT / ARCHITECTURE).read_text(encoding="utf-8").partition("<!-- jobs -->")
    _, end, after = rest.partition("<!-- /jobs -->")
    return f"{before}<!-- jobs -->\n{jobs_table(job_specs())}\n{end}{after}"


GENERATED = {
    Path(".env.example"): env_example,
    Path("docs/filters.md"): filters_document,
    ARCHITECTURE: architecture,
    Path("deploy/monitoring/dashboard.json"): dashboard.document,
}
"""By path under the root of the tree."""


def main() -> None:
    for path, text in GENERATED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
