"""Subscribers: the one place where their documents change, and who is in the matcher because of it.

It sends nothing and matches nothing. Begin with `users.py`.
"""
