"""PostgreSQL and Valkey from wheels, for whoever has no servers of their own; production may use them.

It owns their processes and directories and never speaks to a database beyond asking whether it is up. Begin with
`lifecycle.py`, the life that both share.
"""
