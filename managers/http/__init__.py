"""Asking HTTP APIs within their limits, again where that helps, not at all while they are down. Begin with `api.py`."""
