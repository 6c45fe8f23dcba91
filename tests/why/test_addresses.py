from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.addresses import MAX_ADDRESSES, call_tag, find_addresses, is_address
from tests.why.support import ALPHABET, mint

TOKEN = "97QUsKyZ1tDbBkWzowCixaZHPfMHz3ME8LQzwa9Upump"
WRAPPED_SOL = "So11111111111111111111111111111111111111112"
PEPE = "0x6982508145454Ce325dDbE47a25d4ec3d2311933"
SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\n",
        f"CA: {TOKEN}, now!",
        f"`{TOKEN}`",
        f"_{TOKEN}_",
        f"https://dexscreener.com/solana/{TOKEN}",
        f"dexscreener.com/solana/{TOKEN}?t=1",
        f"https://solscan.io/token/{TOKEN}#metadata",
        f"https://pump.fun/coin/{TOKEN}",
        f"https://www.pump.fun/{TOKEN}/",
        f"https://birdeye.so/token/{TOKEN}?chain=solana",
        f"https://birdeye.so/solana/token/{TOKEN}",
        f"(https://gmgn.ai/sol/token/{TOKEN})",
        f"https://gmgn.ai/sol/token/eye1_{TOKEN}",
        f"HTTPS://GMGN.AI/sol/token/eye1_{TOKEN}",
    ],
)
def test_an_address_is_found_where_people_paste_it(text: str) -> None:
    assert find_addresses(text) == (TOKEN,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "why",
        TOKEN.lower(),
        TOKEN.upper(),
        TOKEN[:-4],
        f"{TOKEN}1",
        f"x{TOKEN}",
        SIGNATURE,
        f"https://solscan.io/tx/{SIGNATURE}",
        f"https://solscan.io/tx/{TOKEN}",
        f"https://solscan.io/account/{TOKEN}",
        f"https://pump.fun/profile/{TOKEN}",
        f"https://gmgn.ai/sol/address/{TOKEN}",
        f"https://gmgn.ai/eth/token/{TOKEN}",
        f"https://birdeye.so/profile/{TOKEN}",
        f"https://dexscreener.com/ethereum/{TOKEN}",
        f"https://dexscreener.com.evil.example/solana/{TOKEN}",
        f"https://evil.example/solscan.io/token/{TOKEN}",
        "https://[/" + TOKEN,
        f"https://solscan.io:443/account/{TOKEN}",
        f"https://dexscreener.com/solana/{PEPE}",
        f"https://solscan.io/token/{PEPE}",
        f"https://basescan.org/token/{TOKEN}",
        f"https://etherscan.io/address/{PEPE}",
        f"https://etherscan.io/tx/0x{'ab' * 32}",
        f"0x{'ab' * 32}",
        PEPE[:-1],
        PEPE + "0",
        f"x{PEPE}",
        PEPE[2:],
        PEPE.replace("5", "g"),
        "1" * 44,
    ],
)
def test_what_is_no_token_is_not_taken_for_one(text: str) -> None:
    assert find_addresses(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        PEPE,
        PEPE.lower(),
        PEPE.upper(),
        f"CA: `{PEPE}`.",
        f"https://dexscreener.com/ethereum/{PEPE}",
        f"https://etherscan.io/token/{PEPE}?a=1",
        f"https://basescan.org/token/{PEPE.lower()}",
        f"https://bscscan.com/token/{PEPE}#code",
        f"https://birdeye.so/base/token/{PEPE}",
        f"https://birdeye.so/token/{PEPE}?chain=ethereum",
        f"https://gmgn.ai/eth/token/{PEPE}",
        f"https://gmgn.ai/base/token/abc_{PEPE}",
        f"https://www.geckoterminal.com/eth/tokens/{PEPE}",
    ],
)
def test_an_address_in_hex_is_found_and_kept_in_lower_case(text: str) -> None:
    assert find_addresses(text) == (PEPE.lower(),)
    assert not is_address(PEPE), "only as it is kept"


def test_an_address_in_the_text_goes_before_what_may_be_a_pool() -> None:
    text = f"https://dexscreener.com/solana/{mint(1)} https://solscan.io/token/{mint(2)} {TOKEN}"
    assert find_addresses(text) == (TOKEN, mint(2), mint(1))


def test_many_addresses_are_too_many() -> None:
    text = " ".join(mint(number) for number in range(40))
    assert find_addresses(text) == tuple(mint(number) for number in range(MAX_ADDRESSES))


def test_the_shortest_real_address() -> None:
    assert find_addresses(WRAPPED_SOL) == (WRAPPED_SOL,)


hostile = st.lists(
    st.sampled_from(
        [
            TOKEN,
            PEPE,
            PEPE.lower(),
            SIGNATURE,
            "https://",
            "dexscreener.com/solana/",
            "solscan.io/token/",
            "[",
            "]",
            "_",
            ".",
        ]
    )
    | st.text(max_size=8),
    max_size=30,
).map("".join)


@given(hostile | st.text())
def test_whatever_is_pasted_only_addresses_come_out(text: str) -> None:
    found = find_addresses(text)
    assert len(set(found)) == len(found) <= MAX_ADDRESSES
    assert all(is_address(address) for address in found)
    assert all(address in (text.lower() if address.startswith("0x") else text) for address in found)


@given(st.binary(min_size=32, max_size=32))
def test_base58_of_32_bytes(key: bytes) -> None:
    number, digits = int.from_bytes(key, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = ALPHABET[digit] + digits
    address = "1" * (len(key) - len(key.lstrip(b"\0"))) + digits
    assert is_address(address) == any(character.isupper() for character in address)
    assert not is_address("1" + address)
    assert not is_address(address[4:])


@given(st.text(st.characters(codec=None)))
def test_every_call_has_a_short_tag(call_id: str) -> None:
    assert len(call_tag(call_id)) == 10
