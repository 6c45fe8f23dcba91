"""Pictures, drawn by a process of its own: drawing holds a loop up for long, and what it draws is chosen by anybody.

`maker.py` is what the bot uses. Everything else runs in the process that it starts (`process.py`).
"""
