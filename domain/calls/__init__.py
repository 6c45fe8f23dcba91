"""Calls, their tokens and channels, and what can be computed from them alone.

No filter, no subscriber and no time of day is known here. Begin with `events.py`.
"""
