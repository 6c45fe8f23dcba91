"""Wallets that are installed beside Telegram, as apps on a phone are. What they pay with is not known here.

Begin with `hook.py` (what a wallet is), then `page.py` (what the chat page asks) and `links.py` (what a page offers).
"""
