"""Why somebody got a call, or did not: computed again from what was stored. Begin with `explanations.py`."""
