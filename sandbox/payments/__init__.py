"""Everything that takes money, on loopback: a Solana cluster and NOWPayments, as strict as the originals.

Each is a room of its own that knows nothing of the other; Stars are Telegram's and live in `sandbox.telegram`.
Begin with `solana/server.py` and `nowpayments/server.py`.
"""
