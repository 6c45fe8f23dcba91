"""Figures and prices from outside, one adapter per provider, on `managers/http`."""
