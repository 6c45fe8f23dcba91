"""When something is due by the clock on somebody's wall, and what is done about a time that was missed.

Pure: what is due and what was done stands in the stores (`services.schedule`). Begin with `triggers.py`.
"""
