"""What the bot knows about itself: health, metrics, alarms for admins.

It watches and tells, and changes nothing it watches. Begin with `health.py`; a new alarm is a condition in
`conditions.py`.
"""
