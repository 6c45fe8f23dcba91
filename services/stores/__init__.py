"""Where things are kept: the keys of Redis, the journal to PostgreSQL, the store that works while Redis is unavailable.

It knows forms, not meanings: no rule about calls, subscribers or sending. Begin with `keys.py` and `journal.py`.
"""
