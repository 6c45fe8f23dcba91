"""The dashboard, as data: `python -m generate` writes `dashboard.json` from it, which Grafana imports.

Every query is asked of a real Prometheus by `tests/deploy/test_prometheus.py`.
"""

from __future__ import annotations

from itertools import count
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import prometheus, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, SortOrder, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableOption
from msgspec import Struct

JOB: Final = "token-filter-bot"
"""The name under which Prometheus scrapes the processes of the bot."""
_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${source}")
_CHOSEN: Final = ('job="$job"', 'instance=~"$instance"')
_HEIGHT: Final = 8
_WIDTH: Final = 8
_STAGE: Final = "stage_seconds_bucket"


class Query(Struct, frozen=True):
    expr: str
    legend: str


class Panel(Struct, frozen=True):
    title: str
    unit: str
    """As Grafana names it."""
    queries: tuple[Query, ...]
    about: str = ""


def of(metric: str, *conditions: str) -> str:
    """A metric of the processes that were chosen."""
    return f"{metric}{{{','.join((*_CHOSEN, *conditions))}}}"


def rate(metric: str, *conditions: str) -> str:
    return f"rate({of(metric, *conditions)}[$__rate_interval])"


def by(label: str, metric: str, *conditions: str) -> str:
    return f"sum by ({label}) ({rate(metric, *conditions)})"


def quantile(share: float, metric: str, *labels: str) -> str:
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *labels))}) ({rate(metric)}))"


def quantiles(metric: str) -> tuple[Query, ...]:
    return tuple(Query(quantile(share, metric), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99))


def hit_rate(more: str = "by (cache)") -> str:
    hits, misses = rate("cache_hits_total"), rate("cache_misses_total")
    return f"sum {more} ({hits}) / (sum {more} ({hits}) + sum {more} ({misses}))"


def _none_read(query: str) -> str:
    """A bot that reads no channels has nothing to say of them."""
    return f"{query} or vector(0)"


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "How it is": (
        Panel("Processes that answer", "none", (Query(of("up"), "{{instance}}"),)),
        Panel(
            "Alarms that stand",
            "none",
            (Query(f"sum by (alarm) ({of('alarm_active')}) > 0 or vector(0)", "{{alarm}}"),),
            "What admins were told of; each has a section in docs/alerts.md.",
        ),
        Panel(
            "Jobs: since the last progress",
            "s",
            (Query(f"topk(5, max by (name) ({of('job_progress_age_seconds')}))", "{{name}}"),),
            "After 60 s an alarm, after 150 s the watchdog gives up.",
        ),
    ),
    "From the frame to the message": (
        Panel("Frame received until decided", "s", quantiles("frame_to_decided_seconds_bucket")),
        Panel("Frame received until Telegram answered", "s", quantiles("frame_to_sent_seconds_bucket")),
        Panel("p99 of each stage", "s", (Query(quantile(0.99, _STAGE, "stage"), "{{stage}}"),)),
        Panel(
            "Calls",
            "cps",
            (
                Query(f"sum({rate('calls_received_total')})", "received"),
                Query(f"sum({rate('calls_stale_total')})", "too late to be news"),
            ),
        ),
        Panel(
            "Alerts",
            "cps",
            tuple(
                Query(f"sum({rate(f'alerts_{outcome}_total')})", outcome)
                for outcome in ("claimed", "sent", "withheld", "deferred", "dead_lettered", "repeated")
            ),
        ),
        Panel("Attempts to send, by outcome", "cps", (Query(by("outcome", "sends_total"), "{{outcome}}"),)),
    ),
    "What waits": (
        Panel("Calls in the queue (of 10,000)", "none", (Query(of("token_queue_size"), "{{instance}}"),)),
        Panel(
            "Alerts and updates",
            "none",
            (Query(of("alerts_held"), "alerts in hand"), Query(of("updates_waiting"), "updates")),
        ),
        Panel(
            "Waiting for Telegram, by lane", "none", (Query(f"sum by (lane) ({of('telegram_waiting')})", "{{lane}}"),)
        ),
        Panel("Journal: age of the oldest entry", "s", (Query(f"max({of('journal_age_seconds')})", "age"),)),
        Panel("Dead letters", "none", (Query(f"max({of('dead_letters')})", "waiting"),)),
        Panel("Alerts in the local store", "none", (Query(of("local_alerts"), "{{instance}}"),)),
    ),
    "Channels that are read": (
        Panel(
            "Posts, by verdict",
            "cps",
            (Query(_none_read(by("verdict", "channel_posts_total")), "{{verdict}}"),),
            "Posts as before and no calls: a channel has changed how it writes, docs/posts.md.",
        ),
        Panel(
            "Age of posts when they are read",
            "s",
            (Query(_none_read(f"max by (quantile) ({of('channel_post_age_seconds')})"), "p{{quantile}}"),),
        ),
        Panel(
            "Requests",
            "cps",
            (Query(_none_read(by("what", "channel_requests_total")), "{{what}}"),),
        ),
        Panel(
            "Channels",
            "none",
            (
                Query(_none_read(f"sum({of('channels_read')})"), "read"),
                Query(_none_read(f"sum by (problem) ({of('channels_closed')})"), "{{problem}}"),
            ),
        ),
        Panel(
            "Calls, written down and unresolved",
            "none",
            (
                Query(_none_read(f"max({of('unresolved_calls')})"), "unresolved"),
                Query(_none_read(f"sum(increase({of('channel_calls_total')}[1h]))"), "written within an hour"),
            ),
        ),
        Panel("Readers of the feed", "none", (Query(_none_read(f"sum({of('feed_readers')})"), "readers"),)),
    ),
    "What it stands on": (
        Panel(
            "Round trips",
            "s",
            (
                Query(f"max({of('redis_round_trip_seconds')})", "Redis"),
                Query(f"max({of('postgresql_round_trip_seconds')})", "PostgreSQL"),
            ),
        ),
        Panel(
            "Unavailable",
            "none",
            (
                Query(f"max({of('redis_unavailable')})", "Redis"),
                Query(f"max({of('postgresql_unavailable')})", "PostgreSQL"),
            ),
        ),
        Panel("Feed: connections begun anew", "none", (Query(of("feed_reconnects"), "{{instance}}"),)),
        Panel(
            "APIs: requests that failed",
            "cps",
            (Query(f"{by('host', 'api_failures_total')} or vector(0)", "{{host}}"),),
        ),
        Panel("Telegram: answers 429", "cps", (Query(f"sum({rate('telegram_refusals_total')})", "refused"),)),
        Panel(
            "Fallback values used",
            "cps",
            (Query(f"{by('dependency', 'fallbacks_total')} or vector(0)", "{{dependency}}"),),
        ),
    ),
    "What it uses": (
        Panel(
            "Cache hit rate",
            "percentunit",
            (Query(hit_rate(), "{{cache}}"), Query(hit_rate(""), "all")),
            "In steady state at least 95 %.",
        ),
        Panel(
            "Memory",
            "bytes",
            (
                Query(of("process_resident_memory_bytes"), "resident {{instance}}"),
                Query(f"{of('memory_limit_bytes')} or vector(0)", "limit {{instance}}"),
            ),
        ),
        Panel("Processor", "percentunit", (Query(rate("process_cpu_seconds_total"), "{{instance}}"),)),
        Panel("Redis: round trips", "cps", (Query(f"sum({rate('redis_round_trips_total')})", "round trips"),)),
        Panel("Tokens followed", "none", (Query(of("tracked_tokens"), "{{instance}}"),)),
        Panel("Subscribers matched", "none", (Query(f"max({of('subscribers_receiving')})", "receiving"),)),
    ),
}


def queries() -> list[str]:
    """Every query of every panel."""
    return [query.expr for panels in ROWS.values() for panel in panels for query in panel.queries]


def document() -> str:
    """The dashboard as Grafana imports it."""
    made = (
        Dashboard("TokenFilterBot")
        .uid("token-filter-bot")
        .tags(["token-filter-bot"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(DatasourceVariable("source").label("Data source").type("prometheus"))
        .with_variable(_variable("job", "label_values(bot_info, job)", JOB))
        .with_variable(_variable("instance", 'label_values(bot_info{job="$job"}, instance)', None))
    )
    numbers = count(1)
    for title, panels in ROWS.items():
        made = made.with_row(Row(title).id(next(numbers)))
        for panel in panels:
            made = made.with_panel(_panel(panel).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _variable(name: str, query: str, value: str | None) -> QueryVariable:
    made = QueryVariable(name).query(query).datasource(_SOURCE)
    if value is None:
        return made.include_all(True).multi(True).all_value(".*")
    return made.current(VariableOption(text=value, value=value))


def _panel(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE).height(_HEIGHT).span(_WIDTH)
    made = made.min(0).description(panel.about)
    made = made.tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    made = made.legend(VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM))
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()
        made = made.with_target(target.ref_id(letter))
    return made
