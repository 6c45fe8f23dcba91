"""From the outbox to the chat: turn, policy, composing, sending, settling; digests and cards.

Who gets a call was decided before. What tells one kind of message from another stands in `kinds.py` alone. Begin with
`delivery.py`.
"""
