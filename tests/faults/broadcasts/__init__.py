"""A broadcast to many, killed in the middle, and what goes on beside it. Begin with `crowd.py`."""
