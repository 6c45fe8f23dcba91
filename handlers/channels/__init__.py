"""Channels that are read, as people see them: they suggest one, or paste one. Begin with `suggesting.py`."""
