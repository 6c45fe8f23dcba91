"""Everything without an address of its own, put together and run beside the bot: servers, market, feed, Telegram.

Begin with `world.py`.
"""
