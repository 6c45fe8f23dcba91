"""Providers of figures and prices on loopback, as strict as the originals."""
