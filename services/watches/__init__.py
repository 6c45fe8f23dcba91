"""Personal alerts: kept in PostgreSQL, evaluated by whoever follows prices, told once for each crossing.

Begin with `watches.py`, which people talk to; `evaluating.py` holds them against prices, `telling.py` tells.
"""
