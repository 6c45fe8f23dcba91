"""What can be bought. Begin with `plans.py`."""
