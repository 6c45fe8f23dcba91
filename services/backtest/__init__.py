"""Filters tried on past calls, in a process of its own at low priority, and the archive that they are read from.

`backtests.py` is what the bot asks; `child.py` is the other process, which reads `trying.py` and `archiving.py`.
"""
