"""A person takes what is kept of them, and goes. Knows nothing of Telegram. Begin with `exporting.py`, `erasing.py`."""
