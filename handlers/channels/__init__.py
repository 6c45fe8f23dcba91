"""Channels that are read, as people see them: they suggest one. Begin with `suggesting.py`."""
