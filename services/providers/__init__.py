"""Prices from outside, from whoever may be asked just now, within everybody's limits.

Knows nothing of why a price is wanted. Begin with `price_sources.py`.
"""
