"""What every conversation is made of: base class, routes, dispatch, menus, what a button sends.

No feature is known here. Begin with `base.py` and `routing.py`.
"""
