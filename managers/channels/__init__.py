"""Reading what Telegram's channels post: one adapter for each way in. Decides nothing of what a post means.

Begin with `base.py`: what every adapter gives, and how it fails.
"""
