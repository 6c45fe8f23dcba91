"""A call on its way to a decision: its channel, its token's figures, who passes, who waits for a figure.

It hands claims to `services/claims` and knows nothing of sending. Begin with `decisions.py`.
"""
