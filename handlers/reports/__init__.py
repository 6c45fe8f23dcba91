"""`/report` and `/recap`: what became of somebody's alerts, the best calls, channels and presets.

And which reports come by themselves.
"""
