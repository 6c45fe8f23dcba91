"""Broadcasts: to whom one may go, and how its time is read. Begin with `segments.py`."""
