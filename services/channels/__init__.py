"""Channels that are read: which ones, what their posts call, and the calls in order for whoever asks.

Does not know how a page or a session is read (`managers/channels/`), nor what a post means (`domain/posts/`). Begin
with `taking.py`: from posts to calls that are written down. `polling.py` reads in turn, `resolving.py` asks what a
pool trades, `history.py` gives the calls, `listed.py` is the list.
"""
