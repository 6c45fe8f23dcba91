"""Reports: what somebody got and what became of it, the best of a day, presets and channels.

They come by themselves, or are asked for.
Begin with `figures.py` (what is counted), then `schedule.py` (when it is sent). `wording.py` and `pictures.py` show it.
"""
