"""Personal alerts: what somebody wants to hear of a token's price, and when it has come to that.

No time of day, no person and no I/O. Begin with `conditions.py`; `reading.py` reads what is typed, `evidence.py` says
what a price is worth, `crossing.py` when a condition is met.
"""
