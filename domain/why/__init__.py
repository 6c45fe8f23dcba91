"""Whether the settings of one subscriber explain what came of one call. Begin with `verdicts.py`."""
