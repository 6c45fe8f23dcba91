"""Personal alerts, in the chat. Begin with `watching.py`."""
