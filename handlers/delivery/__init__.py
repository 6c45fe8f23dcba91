"""How alerts are delivered, in the chat. Begin with `settings.py`."""
