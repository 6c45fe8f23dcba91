"""The first words, and help. Begin with `start.py`."""
