"""Builders of what every alert needs, from the stores to the conversation. They know nothing of `features`."""
