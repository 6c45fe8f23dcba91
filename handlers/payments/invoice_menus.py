"""An invoice as it is shown: what to send where while it can be paid, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.delivery.messages import Button, Message
from domain.delivery.quiet import zone_of
from domain.payments.amounts import show
from domain.payments.invoices import Invoice, State
from domain.subscribers.zones import show_zone
from handlers.conversation.base import Services
from handlers.conversation.menus import Keyboard, View, message
from handlers.payments.buttons import CheckInvoice
from handlers.payments.prices import ends, price
from handlers.payments.receipts import receipt
from handlers.payments.ways import other_way
from managers.payments.nowpayments import Coin
from services.delivery.payment_messages import told
from services.payments.checks import DONE
from services.payments.group import SolanaServices
from services.payments.invoices import StandingInvoice
from services.payments.notices import notice_of, settled_as
from services.payments.nowpayments_arrivals import is_page
from texts.markup import Html, join

PAYABLE: Final[tuple[State, ...]] = ("open", "underpaid")
ON_SOLANA: Final = ("sol", "usdc")
NETWORKS: Final = frozenset(
    "trx eth bsc sol btc ltc doge xrp ton matic arbitrum avaxc base op".split()  # noqa: SIM905 - one line
)
"""Of the processor, in its words; those that have a name in the texts."""
OWN_NAMES: Final = ("trx", "eth")
"""Networks whose own coin is not one by the standard of their tokens."""


def invoice_message(
    view: View,
    services: Services,
    standing: StandingInvoice,
    zone: str,
    *,
    looked_at: datetime | None = None,
    coin: Coin | None = None,
    is_unknown: bool = False,
) -> Message:
    """`looked_at`: when somebody asked what came, just now. `coin`: of an invoice at the processor, if it is known.

    `is_unknown`: the processor has no such payment any more.
    """
    if is_unknown and standing.stands.state == "open":
        rows = ((view.button("button.check", CheckInvoice(standing.invoice.id)),),)
        rows += ((other_way(view, services, standing.invoice.plan, standing.invoice.days),),)
        return message(view.html("invoice.unknown_there", id=standing.invoice.id), keyboard=rows)
    invoice, stands, now = standing.invoice, standing.stands, services.conversation.clock()
    lines: list[Html] = []
    if stands.state == "open" and not stands.needs_admin:
        lines += _asked(view, services, invoice, ends(invoice.expires_at, now, zone), coin)
        if looked_at:
            key = "invoice.nothing_yet_solana" if invoice.method in ON_SOLANA else "invoice.nothing_yet"
            lines.append(view.html(key, at=f"{looked_at.astimezone(zone_of(zone)):%H:%M:%S}", zone=show_zone(zone)))
    else:
        notice = notice_of(invoice, stands, settled=settled_as(invoice, standing.arrivals, stands))
        lines += told(view.texts, notice, now, view.language, zone)
    if not _is_payable(standing, now):
        lines += receipt(view, standing, zone)
        return message(join("\n\n", lines), keyboard=_after(view, services, standing))
    if invoice.method in ON_SOLANA and (solana := services.find(SolanaServices)):
        if stands.state == "underpaid":
            lines.append(view.html("invoice.rest"))
        picture = solana.invoicing.request(invoice, stands.missing or None).qr_png()
    else:
        picture = b""
    keyboard = _to_pay(view, services, standing)
    return Message(html=str(join("\n\n", lines)), keyboard=keyboard, picture=picture)


def coin_name(view: View, coin: Coin) -> str:
    """`USDT (TRC20)`."""
    network = network_name(view, coin)
    ticker = coin.ticker.upper() or coin.code.upper()
    return view.plain("other_coins.coin", ticker=ticker, network=network) if network else ticker


def network_name(view: View, coin: Coin) -> str:
    """Name the network as wallets do: by the standard of its tokens, or by its own name for its own coin."""
    network = coin.network.lower()
    if network in OWN_NAMES and coin.ticker.lower() == network:
        return view.plain(f"network.own.{network}")
    return view.plain(f"network.{network}") if network in NETWORKS else coin.network.upper()


def _is_payable(standing: StandingInvoice, now: datetime) -> bool:
    return standing.stands.state in PAYABLE and now <= standing.invoice.expires_at


def _asked(view: View, services: Services, invoice: Invoice, until: str, coin: Coin | None) -> list[Html]:
    about = {"plan": view.label("plan", invoice.plan), "days": invoice.days, "id": invoice.id}
    about |= {"ends": until, "address": invoice.address}
    if invoice.method in ON_SOLANA:
        help_key = "invoice.help_button" if _wallet_url(services, invoice) else "invoice.help_picture"
        to_send = {"amount": show(invoice.amount), "asset": invoice.asset, "help": view.html(help_key)}
        return [view.html("invoice.solana", **about, **to_send)]
    if is_page(invoice):
        return [view.html("invoice.page", **about, price=price(invoice.price_usd))]
    coin = coin or Coin(invoice.asset.lower())
    network = network_name(view, coin) or coin_name(view, coin)
    named = {"amount": show(invoice.amount), "coin": coin_name(view, coin), "network": network}
    lines = [view.html("invoice.coin", **about, **named)]
    if invoice.memo:
        lines.append(view.html("invoice.memo", memo=invoice.memo))
    return lines


def _to_pay(view: View, services: Services, standing: StandingInvoice) -> Keyboard:
    invoice, missing = standing.invoice, standing.stands.missing
    rows: list[tuple[Button, ...]] = []
    if is_page(invoice):
        rows.append((Button(text=view.plain("button.open_page"), url=invoice.address),))
    else:
        copies = [Button(text=view.plain("payment.copy_missing"), copy=show(missing or invoice.amount))]
        copies.append(Button(text=view.plain("payment.copy_address"), copy=invoice.address))
        if invoice.memo:
            copies.append(Button(text=view.plain("button.copy_memo"), copy=invoice.memo))
        rows.append(tuple(copies))
    if url := _wallet_url(services, invoice):
        rows.append((Button(text=view.plain("button.open_wallet"), url=url),))
    rows.append((view.button("button.check", CheckInvoice(invoice.id)),))
    rows.append((other_way(view, services, invoice.plan, invoice.days),))
    return tuple(rows)


def _after(view: View, services: Services, standing: StandingInvoice) -> Keyboard:
    """Of an invoice that nobody should pay any more: what may still change is looked at again."""
    invoice, stands = standing.invoice, standing.stands
    if stands.state == "expired":
        return ((other_way(view, services, invoice.plan, invoice.days),),)
    return () if stands.state in DONE else ((view.button("button.check", CheckInvoice(invoice.id)),),)


def _wallet_url(services: Services, invoice: Invoice) -> str | None:
    solana = services.find(SolanaServices)
    return solana.page_url(invoice.id) if solana and invoice.method in ON_SOLANA else None
