"""What becomes of calls after they were told: prices, multiples as they are reached, replies, how each call ended.

Begin with `tracking.py`, which keeps a tracker (`domain.tracking`) in memory; `fan_out.py` tells people what is written
down. Records are computed elsewhere, from the tables.
"""
