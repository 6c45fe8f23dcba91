"""What becomes of calls: prices that are believed, multiples as they are reached, outcomes, records, what to ask next.

No time of day, no subscriber and no I/O: whoever calls says what time it is. Tokens, entries, channels and sources are
numbers here, times are Unix seconds, prices US dollars. Begin with `tracker.py`.
"""
