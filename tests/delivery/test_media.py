"""The picture comes if it can; the text comes in any case, and once."""

from __future__ import annotations

import pytest
from hypothesis import given

from domain.calls.events import Token
from domain.delivery.messages import Media
from sandbox.telegram.faults import Fault
from services.delivery.media import is_fetchable, media_of
from services.stores import keys
from tests.delivery.kit import Way, call_of, claim_of, texts_of, way_of, whole_way
from tests.texts.hostile import hostile_text

PICTURE = "https://example.com/a.png"


async def test_a_picture_goes_with_the_card_and_its_id_is_used_again(way: Way) -> None:
    ann, ben = await way.person(), await way.person()
    call = call_of(1, image_url=PICTURE)
    await way.claim(claim_of(call, ann.id))
    await way.deliver()
    [first] = [m for m in ann.messages if m["from"]["is_bot"]]
    assert "$50k market cap at call" in first["caption"]
    [name] = [name async for batch in way.redis.scan("media:*") for name in batch]
    assert (await way.redis.get(name) or b"").decode() == first["photo"][-1]["file_id"]
    again = way_of(way.redis, way.telegram, way.manager)
    await again.claim(claim_of(call, ben.id))
    await again.deliver()
    [second] = [m for m in ben.messages if m["from"]["is_bot"]]
    assert second["photo"][-1]["file_unique_id"] == first["photo"][-1]["file_unique_id"]
    assert way.metrics.counts.media_sent == again.metrics.counts.media_sent == 1


async def test_a_refused_picture_leaves_the_text(way: Way) -> None:
    ann = await way.person()
    call = call_of(1, image_url=PICTURE)
    await way.claim(claim_of(call, ann.id))
    # An id that Telegram no longer takes.
    await way.files.note(Media("photo", PICTURE), "no such file id")
    await way.deliver()
    [message] = [m for m in ann.messages if m["from"]["is_bot"]]
    assert "photo" not in message
    assert "$50k market cap at call" in message["text"]
    assert way.metrics.counts.media_refused == 1
    assert await way.files.known(Media("photo", PICTURE)) is None
    assert [f.status for f in await way.fates()] == ["sent"]


async def test_a_picture_whose_answer_never_comes_is_followed_by_marked_text(redis_url: str) -> None:
    async with whole_way(redis_url, answer_timeout_s=0.3) as way:
        ann = await way.person()
        way.telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        await way.claim(claim_of(call_of(1, image_url=PICTURE), ann.id))
        await way.deliver()
        first, second = (m for m in ann.messages if m["from"]["is_bot"])
        assert "photo" in first
        assert "photo" not in second
        assert "may be a repeat" in second["text"]


async def test_a_merged_message_has_no_picture(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n, image_url=PICTURE), ann.id) for n in range(2)))
    await way.deliver()
    assert len(texts_of(ann)) == 1
    assert way.metrics.counts.media_sent == 0


async def test_the_liveliest_is_chosen() -> None:
    token = Token(address="So1", image_url=PICTURE, animation_url="http://a.io/b.gif", video_url="ftp://a.io/c.mp4")
    assert media_of(token) == Media("animation", "http://a.io/b.gif")
    assert keys.MEDIA_FILE.expires_s > 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "attach://x",
        "http://",
        "http://localhost/a.png",
        "https://user:secret@example.com/a.png",
        "https://example.com/a b.png",
        "https://example.com:notaport/",
        "https://[::1",
        "AgACAgIAAxkBAAIB",
        "https://exämple.com/a.png",
        "https://example.com/" + "a" * 3_000,
    ],
)
def test_only_plain_addresses_are_given_to_telegram(url: str) -> None:
    assert not is_fetchable(url)
    assert is_fetchable(PICTURE)


@given(hostile_text)
def test_no_address_breaks_the_choice(url: str) -> None:
    media = media_of(Token(address="So1", image_url=url, video_url=url))
    assert media is None or media.source == url
