"""A filter tried on the past: what the archive keeps of a call, filters as expressions over it, who would get what.

Exactly what live matching accepts (`domain/matching/matcher.py`), a day of calls at a time; no I/O. Begin with
`replay.py`. What computes on columns is used in a process of its own; the bot itself knows `results.py` alone.
"""
