"""Who has which plan until when, what that includes, and what they are told about it. Begin with `entitling.py`."""
