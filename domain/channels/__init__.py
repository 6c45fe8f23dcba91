"""Channels that are read: how people name them, and how often each is looked at. Begin with `names.py`."""
