"""What the doctor is to look at, from the connections that there are."""

from __future__ import annotations

from functools import partial

from bot.doctor.accounts import accounts_check
from bot.doctor.channels import channels_check, ignored_channels
from bot.doctor.payments import NowPaymentsParts, SolanaParts, payment_checks
from bot.doctor.providers import provider_checks
from bot.doctor.surroundings import Check
from composition.connections import Connections
from config.settings import Settings


def read_from(settings: Settings, parts: Connections, source: str) -> dict[str, Check]:
    """Return what is to be checked of the channels and the accounts that listen, where calls come from them.

    With a LISTEN_TOKEN others read them: a process of the role `listen`.
    """
    channels, are_read = parts.channels, source == "channels" or settings.listen_token is not None
    if channels is None or not (are_read or settings.channels):
        return {}
    if not are_read:
        return {"channels": ignored_channels}
    checks: dict[str, Check] = {}
    if source == "channels" or settings.channels:
        checks["channels"] = partial(channels_check, channels.reader, channels.access.channels)
    if settings.telegram_api_id is not None:
        checks["accounts"] = partial(accounts_check, settings.sessions, named=bool(settings.telegram_sessions))
    return checks


def asked_for_figures(parts: Connections) -> dict[str, Check]:
    """Return what is to be checked of who is asked about tokens."""
    return provider_checks(parts.figure_providers, parts.price_providers)


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
