"""Reports on each reader's clock, while it runs fast and while things break. Begin with `evenings.py`."""
