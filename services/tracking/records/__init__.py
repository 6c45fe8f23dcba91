"""Records: what the calls of a channel, a preset, a filter set, a person became; corrections; outcomes on cards.

Begin with `refreshing.py`, which computes what has changed; `records.py` reads it for the conversation.
"""
