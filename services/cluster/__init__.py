"""Several processes as one bot: who lives, who may do what, and what one tells the others.

It knows names of leases and partitions, not the work done under them. Begin with `leases.py`.
"""
