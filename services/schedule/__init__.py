"""What is due at a time: who it is due for stands in Redis, and one process at a time looks at each of them.

A job is a row (`schedule.Job`); it may be carried out again for the same due time, and must change nothing then. What
it does belongs to its own room. Begin with `schedule.py`.
"""
