"""Prices rise and fall while things break. Begin with `exchange.py`; `lives.py` is what prices do."""
