"""Admins and what they do: their roles, what is asked twice, what is written down, people and what they are given.

Knows nothing of the conversation. Begin with `admins.py` and `audit.py`.
"""
