"""Prometheus takes the rules, and gives an answer to every query of the dashboard once it has scraped a bot."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.monitoring.dashboard import JOB, document, queries
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.bot_process import ROOT, BotProcess
from tests.e2e.conftest import data_dir, feed, process_environment, subscribe, telegram

__all__ = ["data_dir", "feed", "telegram"]

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
DIRECTORY = ROOT / "deploy" / "monitoring"
TOKEN = "a-token-for-scraping"
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed here (apt install prometheus)")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="Prometheus is not installed here (apt install prometheus)"
)


COMMANDS = (
    ("check", "config", "prometheus.yml"),
    ("check", "rules", "alerts.yml"),
    ("test", "rules", "alerts_test.yml"),
)


@needs_promtool
@pytest.mark.parametrize("command", COMMANDS)
def test_promtool_is_content(command: tuple[str, ...]) -> None:
    assert PROMTOOL
    ran = subprocess.run([PROMTOOL, *command], cwd=DIRECTORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_dashboard_is_whole() -> None:
    made = json.loads(document())
    panels = [panel for panel in made["panels"] if panel["type"] != "row"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    assert shown == queries()
    assert all(panel["options"] and panel["title"] for panel in panels)
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in made["panels"]]
    assert len(set(places)) == len(places)


class Prometheus:
    """A real one that scrapes a bot every half second."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """What it answers now; fails with its own words."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self._url}/api/v1/query", params={"query": query}) as said,
        ):
            answer = await said.json()
        assert answer["status"] == "success", f"{query}: {answer}"
        return answer["data"]["result"]

    async def until(self, query: str) -> None:
        async with asyncio.timeout(30):
            while not await self.ask(query):  # noqa: ASYNC110 - it is another process that has to move
                await asyncio.sleep(0.2)


@asynccontextmanager
async def scraping(target: str, directory: Path, port: int) -> AsyncGenerator[Prometheus]:
    assert PROMETHEUS
    config = (DIRECTORY / "prometheus.yml").read_text("utf-8")
    config = config.replace("127.0.0.1:8080", target).replace("15s", "500ms")
    (directory / "token").write_text(TOKEN)
    config, count = re.subn(r"# (authorization: \{ credentials_file: )\S+ \}", rf"\1{directory}/token }}", config)
    assert count == 1, "the way to give it a token is in the file, commented out"
    (directory / "prometheus.yml").write_text(config)
    shutil.copy(DIRECTORY / "alerts.yml", directory)
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(30), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"{url}/-/ready") as ready:
                        if ready.status == 200:
                            break
                except aiohttp.ClientConnectorError:
                    pass
                await asyncio.sleep(0.1)
        yield Prometheus(url)
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def scraped(
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    redis_url: str,
    postgres_dsn: str,
    data_dir: Path,
    tmp_path: Path,
    unused_tcp_port: int,
) -> AsyncIterator[Prometheus]:
    """A bot that has something to do, and a Prometheus that has looked at it for a while."""
    environment = process_environment(
        telegram=telegram,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        data_dir=data_dir,
        FEED_URL=feed.ws_url,
        FEED_API_URL=feed.http_url,
        FEED_TOKEN=feed.token,
        METRICS_TOKEN=TOKEN,
    )
    async with BotProcess(environment) as bot:
        host = (await bot.says(r"Health: http://(\S+)/healthz"))[1]
        ann = telegram.user("Ann")
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        async with scraping(host, tmp_path, unused_tcp_port) as prometheus:
            await prometheus.until(f'up{{job="{JOB}"}} == 1')
            feed.set_rate(5, 5)
            await prometheus.until(f'alerts_sent_total{{job="{JOB}"}} > 3')
            await prometheus.until(f'redis_round_trip_seconds{{job="{JOB}"}} > 0')
            await prometheus.until(f'postgresql_round_trip_seconds{{job="{JOB}"}} > 0')
            await asyncio.sleep(2)  # a rate needs two looks
            yield prometheus


@needs_prometheus
@pytest.mark.thorough
async def test_every_query_of_the_dashboard_has_an_answer(scraped: Prometheus) -> None:
    silent: list[str] = []
    for query in queries():
        asked = query.replace("$job", JOB).replace("$instance", ".*").replace("$__rate_interval", "1m")
        if not await scraped.ask(asked):
            silent.append(query)
    assert not silent
    rules = set(re.findall(r"alert: (\w+)", (DIRECTORY / "alerts.yml").read_text("utf-8")))
    firing = {one["metric"]["alertname"] for one in await scraped.ask("ALERTS")}
    assert len(rules) == 8
    assert not firing - {"BotCachesCold", "BotAlarm"}, "what is well fires nothing"
