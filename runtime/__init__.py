"""What every floor may use and nobody owns: errors, the clock, supervision, retry, cancellation, a lock, fault points.

It knows nothing of calls, Telegram or any store. Begin with `errors.py`, which says what a caller does about each kind.
"""
