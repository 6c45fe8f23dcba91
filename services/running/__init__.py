"""Running the bot: what is turned off or paused, sources, caches, orders to all processes. Begin with `controls.py`.

Knows nothing of the conversation.
"""
