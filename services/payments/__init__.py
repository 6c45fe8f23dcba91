"""What was asked for, what arrived, and what people were given for it. Begin with `ledger.py`."""
