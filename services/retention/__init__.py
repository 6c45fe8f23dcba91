"""How long rows are kept that grow without end. Knows nothing of what they mean. Begin with `retention.py`."""
