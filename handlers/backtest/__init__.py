"""Trying a filter on past calls: what to try, over how many days, how far it has come, what came of it."""
