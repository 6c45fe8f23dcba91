"""Where money is seen: RPC servers of Solana and the payment processor, each asked within its limits.

They say what is, and decide nothing: what a payment is worth is `domain/payments`, what follows from it
`services/payments`. Begin with `solana_rpc.py`.
"""
