"""The socket under a feed, and one adapter per feed in `sources/`.

It turns frames into domain events and knows nothing of what becomes of them. Begin with `websocket.py`.
"""
