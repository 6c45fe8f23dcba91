"""What was emptied is filled again. It stops the senders meanwhile and decides nothing else. Begin with `refill.py`."""
