"""A decision becomes alerts, all or nothing and once; the outbox in which they wait; what could never be delivered.

What an alert says and when it goes out is not known here. Begin with `claiming.py`, then `outbox.py`.
"""
