"""From the outbox to the chat: turn, policy, composing, sending, settling; digests and cards.

Who gets a call was decided before. Begin with `delivery.py`.
"""
