"""Cards that were sent before all was known: the figures that came later are put on them, once, some seconds after.

Does not ask anybody by itself but for figures (`services/providers/figures.py`). Begin with `completing.py`.
"""
