"""What can be paid with: coins, their networks, rates and addresses."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from solders.pubkey import Pubkey

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_STANDARDS = {"trx": "trc20", "eth": "erc20"}
"""How codes of tokens end, where not with the network."""
FIAT_USD = {"usd": Decimal(1), "eur": Decimal("1.08"), "gbp": Decimal("1.27")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Coin:
    code: str
    name: str
    network: str
    usd: Decimal
    """The price of one."""
    minimum_usd: Decimal
    precision: int = 8
    wallet_regex: str
    is_stable: bool = False
    extra_id: bool = False
    """Deposits are told apart by a memo or tag, and one without it is not detected."""

    def amount_of(self, usd: Decimal) -> Decimal:
        return (usd / self.usd).quantize(Decimal(1).scaleb(-self.precision), ROUND_UP)

    @property
    def minimum(self) -> Decimal:
        return self.amount_of(self.minimum_usd)

    @property
    def ticker(self) -> str:
        """What it is called on every network."""
        return self.code.removesuffix(_STANDARDS.get(self.network, self.network)) or self.code

    def new_address(self, chance: random.Random) -> str:
        match self.network:
            case "sol":
                return str(Pubkey(chance.randbytes(Pubkey.LENGTH)))
            case "eth" | "bsc":
                return f"0x{chance.randbytes(20).hex()}"
            case "trx":
                return "T" + "".join(chance.choices(_BASE58, k=33))
            case "btc":
                return "bc1q" + "".join(chance.choices(_BECH32, k=38))
            case _:
                return "r" + "".join(chance.choices(_BASE58, k=33))


_SOL, _ETH = "^[1-9A-HJ-NP-Za-km-z]{32,44}$", "^(0x)[0-9A-Fa-f]{40}$"
_TRX = "^T[1-9A-HJ-NP-Za-km-z]{33}$"

COINS: dict[str, Coin] = {
    coin.code: coin
    for coin in (
        Coin(code="sol", name="Solana", network="sol", usd=Decimal(165), minimum_usd=Decimal("0.5"), wallet_regex=_SOL),
        Coin(
            code="usdcsol",
            name="USD Coin (Solana)",
            network="sol",
            usd=Decimal(1),
            minimum_usd=Decimal(1),
            precision=6,
            wallet_regex=_SOL,
            is_stable=True,
        ),
        Coin(
            code="usdtsol",
            name="Tether (Solana)",
            network="sol",
            usd=Decimal(1),
            minimum_usd=Decimal(1),
            precision=6,
            wallet_regex=_SOL,
            is_stable=True,
        ),
        Coin(
            code="usdttrc20",
            name="Tether (Tron)",
            network="trx",
            usd=Decimal(1),
            minimum_usd=Decimal(8),
            precision=6,
            wallet_regex=_TRX,
            is_stable=True,
        ),
        Coin(
            code="usdterc20",
            name="Tether (Ethereum)",
            network="eth",
            usd=Decimal(1),
            minimum_usd=Decimal(15),
            precision=6,
            wallet_regex=_ETH,
            is_stable=True,
        ),
        Coin(
            code="usdtbsc",
            name="Tether (BNB Chain)",
            network="bsc",
            usd=Decimal(1),
            minimum_usd=Decimal(2),
            wallet_regex=_ETH,
            is_stable=True,
        ),
        Coin(
            code="btc", name="Bitcoin", network="btc", usd=Decimal(98_000), minimum_usd=Decimal(7), wallet_regex="^bc1q"
        ),
        Coin(code="eth", name="Ethereum", network="eth", usd=Decimal(3_400), minimum_usd=Decimal(4), wallet_regex=_ETH),
        Coin(code="bnbbsc", name="BNB", network="bsc", usd=Decimal(650), minimum_usd=Decimal(1), wallet_regex=_ETH),
        Coin(
            code="trx",
            name="Tron",
            network="trx",
            usd=Decimal("0.25"),
            minimum_usd=Decimal(2),
            precision=6,
            wallet_regex=_TRX,
        ),
        Coin(
            code="xrp",
            name="Ripple",
            network="xrp",
            usd=Decimal("2.3"),
            minimum_usd=Decimal(1),
            precision=6,
            wallet_regex="^r",
            extra_id=True,
        ),
    )
}


def usd_of(currency: str) -> Decimal | None:
    """Give the price of one unit of a fiat currency or coin; None when it is unknown."""
    coin = COINS.get(currency)
    return coin.usd if coin else FIAT_USD.get(currency)
