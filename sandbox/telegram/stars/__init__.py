"""Telegram Stars: invoices, payments, subscriptions, refunds and wallets. Begin with `payments.py`."""
