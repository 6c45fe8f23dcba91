"""Which filter sets pass a call, for everybody at once, and who has had the token before.

Exactly what `domain/filters/explanation.py` says, only faster; no I/O. Begin with `matcher.py`, then `index.py`.
"""
