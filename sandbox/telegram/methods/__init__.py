"""Methods of the Bot API: a parameter struct and a small function each. Begin with `registry.py`."""
