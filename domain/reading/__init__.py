"""Text from outside: what of it can be seen, what it is alike to, and what people type, in one plain form.

Knows no rule and no setting; those who read numbers, times, zones and lists begin here. Begin with `visible.py`.
"""
