"""What admins find out about money, and what they decide of it. Begin with `settling.py`."""
