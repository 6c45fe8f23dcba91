"""The one place that speaks to Redis: connections, circuit, errors by what they say about the server.

Keys and scripts belong to services. Begin with `client.py`.
"""
