"""How the whole is doing, in figures and pictures. Begin with `statistics.py`."""
