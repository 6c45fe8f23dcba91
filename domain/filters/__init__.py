"""Filters: the registry of fields, rules as people type and read them, and the plain definition of passing.

Speed is not its concern; `domain/matching` gives the same answers for everybody at once. Begin with `registry.py`.
"""
