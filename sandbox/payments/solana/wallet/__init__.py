"""What people pay with: a wallet for tests, and a page on which a person pays a Solana Pay request in the browser.

It keeps the standard where a wallet should (`pay_url.py`, `Wallet.pay`), and breaks it where people and thieves do.
Begin with `wallet.py`.
"""
