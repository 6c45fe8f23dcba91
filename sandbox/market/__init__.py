"""A seeded token market: channels, tokens and their lives. No input, no output. Begin with `market.py`."""
