"""What the doctor is to look at, from the connections that there are."""

from __future__ import annotations

from functools import partial

from bot.doctor.channels import channels_check
from bot.doctor.payments import NowPaymentsParts, SolanaParts, payment_checks
from bot.doctor.surroundings import Check
from composition.connections import Connections
from config.settings import Settings


def read_from(parts: Connections, source: str) -> dict[str, Check]:
    """Return what is to be checked of the channels, where calls come from them."""
    channels = parts.channels
    if channels is None or source != "channels":
        return {}
    return {"channels": partial(channels_check, channels.reader, channels.access.channels)}


def paid_by(settings: Settings, parts: Connections, *, is_sandbox: bool) -> dict[str, Check]:
    """Return what is to be checked of the ways of paying. `is_sandbox`: NOWPayments is played on this machine."""
    solana, nowpayments = parts.solana, parts.nowpayments
    return payment_checks(
        takes_stars=settings.takes_stars,
        solana=SolanaParts(
            rpc=solana.rpc,
            wallet=solana.access.wallet,
            usdc_mint=solana.access.usdc_mint,
            prices=solana.prices,
        )
        if solana
        else None,
        nowpayments=NowPaymentsParts(
            manager=nowpayments.manager,
            has_ipn_secret=bool(nowpayments.access.ipn_secret),
            is_reached=settings.public_url is not None or is_sandbox,
        )
        if nowpayments
        else None,
    )
