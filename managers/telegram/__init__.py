"""The one place that speaks to Telegram's Bot API: requests, refusals, updates, the rate limiter.

What is said, and to whom, is decided elsewhere. Begin with `client.py`.
"""
