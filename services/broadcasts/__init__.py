"""What the operator says to many at once: written, shown to who wrote it, sent in the last lane, counted.

Knows nothing of the conversation. Begin with `broadcasts.py` (what an admin does), then `spreading.py` (who gets it
when).
"""
