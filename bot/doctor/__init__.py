"""What `doctor` finds: each part asked once, and one sentence about it. Begin with `examining.py`."""
