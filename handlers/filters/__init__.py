"""Filter sets in the chat: list, rules, presets, sharing. Begin with `filter_sets.py`."""
