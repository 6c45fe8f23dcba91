"""The methods of an RPC node, each a function of the node's view and the raw parameters.

Begin with `history.py`, which finds payments; `encoding.py` writes what it finds, `parsing.py` what programs were told.
"""
