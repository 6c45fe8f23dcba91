"""Listeners that die, and all that they read from: no call is lost that a channel still shows, none is told twice."""
