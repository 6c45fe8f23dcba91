"""Tokens that people paste: what is known of them."""
