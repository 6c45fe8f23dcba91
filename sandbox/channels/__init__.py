"""Stands in for the public pages of Telegram's channels, `t.me/s/<name>`, and plays channels that call tokens.

`server.py` serves what `pages.py` writes; `playing.py` lets the market's channels post, as `styles.py` and `chatter.py`
have it.
"""
