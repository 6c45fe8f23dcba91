"""What admins are told of the whole: people, money, alerts and how fast they are. Begin with `statistics.py`."""
