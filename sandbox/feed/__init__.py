"""Feeds on loopback that speak the native protocol, or replay recorded frames. Begin with `server.py`."""
