"""What admins do about people, one mixin per file. Begin with `users.py`."""
