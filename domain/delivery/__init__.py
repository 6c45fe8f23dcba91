"""What happens to an alert whose turn has come, and what a message is before Telegram is spoken to.

Decides, never sends. Begin with `policy.py`.
"""
