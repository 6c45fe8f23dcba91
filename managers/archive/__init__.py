"""The columnar archive: Parquet files, one for each kind and day (UTC). Begin with `parquet.py`."""
