"""NOWPayments on loopback: its API, a pay page for a person, and IPNs in every way in which they come and are forged.

Begin with `server.py` (what tests and the demo hold), then `desk.py` (what becomes of a payment) and `ipn.py` (how that
is told). Signatures are made in `signing.py` by the documented algorithm, with numbers as JavaScript writes them.
"""
