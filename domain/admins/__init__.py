"""Who administers the bot, and what is written down of what they do. Begin with `roles.py`."""
