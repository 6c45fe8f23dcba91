"""What a subscriber is entitled to, and until when. Begin with `entitling.py`."""
