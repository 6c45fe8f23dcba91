from __future__ import annotations

from pathlib import Path

import pytest

from domain.calls.venues import NO_VENUES, load_venues
from runtime.errors import FatalError

FILE = Path(__file__).parents[2] / "config/venues.toml"


def venue(name: str = "Bot", url: str = "https://t.me/a_bot?start={address}", more: str = "") -> str:
    return f'[[venue]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


def test_nobody_is_offered_before_the_operator_chooses():
    assert load_venues(FILE.read_text("utf-8")) == NO_VENUES


def test_the_example_in_the_file_can_be_used_as_it_stands():
    _, _, example = FILE.read_text("utf-8").partition("For example:\n#\n")
    venues = load_venues("\n".join(line.removeprefix("# ").removeprefix("#") for line in example.splitlines()))
    assert [one.name for one in venues.on("solana")] == ["Example bot"]
    assert [one.name for one in venues.on("base")] == ["Example swap"]
    assert venues.on("bsc") == ()


@pytest.mark.parametrize(
    "text",
    [
        venue(url="http://t.me/a_bot?start={address}"),
        venue(url="https://t.me/a_bot"),
        venue(url="https://t.me/{address}/{address}"),
        venue(url="https://{address}.example/"),
        venue(url="https://t.me@evil.example/{address}"),
        venue(url="https://t.me/{name}/{address}"),
        venue(url="https://t.me/ {address}"),
        venue(name=""),
        venue(name="x" * 21),
        venue(more='chains = ["dogecoin"]'),
        venue(more="chains = []"),
        venue(more="price = 3"),
        venue() * 4,
        "venue = 3",
        "[[venue]",
    ],
)
def test_what_could_lead_astray_stops_the_start_and_says_why(text: str):
    with pytest.raises(FatalError, match=r"venues\.toml"):
        load_venues(text)


def test_three_on_each_chain_are_a_row():
    evm = 'chains = ["base"]'
    assert len(load_venues(venue() * 3 + venue(more=evm) * 3).listed) == 6
