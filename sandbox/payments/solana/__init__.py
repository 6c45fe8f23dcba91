"""A Solana cluster on loopback: real programs in a real SVM, with JSON-RPC nodes before it and a wallet to pay from.

Begin with `server.py` (what tests and the demo hold), then `cluster.py` (slots, commitment, forks) and `rpc.py` (the
methods). What a node does wrong on demand is in `faults.py`; what people pay with is in `wallet.py`.
"""
