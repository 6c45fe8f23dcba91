"""Builders of what people get beyond alerts, one for each. A new one goes here; `composition/bot.py` lists it."""
