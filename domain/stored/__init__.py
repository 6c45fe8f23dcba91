"""Documents as Redis and PostgreSQL keep them and several services read them.

A field that is added has a default: what an older version wrote stays readable. Begin with `alerts.py`.
"""
