"""What benchmarks share: the outside world, load, witnesses, peers, the report.

Nothing here is a benchmark by itself. Begin with `outside.py` and `report.py`.
"""
