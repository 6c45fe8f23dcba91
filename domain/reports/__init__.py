"""What a report is made of: when it is due, what it counts, and what its pictures show.

Pure. Begin with `times.py`; `pictures.py` is what the process that draws is sent.
"""
