"""The page that opens a wallet, asked by somebody who guesses and injects."""

from __future__ import annotations

from urllib.parse import quote

from tests.payments.forged.kit import Scene


async def test_it_shows_what_a_wallet_needs_and_nothing_else_can_be_asked_of_it(scene: Scene) -> None:
    ann, other, star = [
        await scene.buys(1, data) for data in ("buysolana:pro:1:usdc", "buycoin:pro:1:btc", "buystars:pro:12")
    ]
    shown, text = await scene.gets(f"/pay/{ann.id}")
    assert shown.status == 200
    assert ann.reference in text
    assert "Person" not in text
    assert "<script" not in text
    async with scene.http.get(f"{scene.edge}/pay/{ann.id}") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    guesses = [
        "AAAAAAAA",
        other.id,
        star.id,
        ann.id.lower(),
        f"{ann.id}:version",
        f"{ann.id}:arrivals",
        f"{ann.id}\n",
        f"{ann.id}\0",
        "*",
        "<svg onload=alert(1)>",
        '"><img src=x onerror=alert(1)>',
        "%s%n{0}$pay",
        "A" * 20_000,
    ]
    answers = [await scene.gets(f"/pay/{quote(guess, safe='')}") for guess in guesses]
    assert {answer.status for answer, _ in answers} == {404}
    assert len({body for _, body in answers}) == 1, "unknown is unknown, whatever it is called"
