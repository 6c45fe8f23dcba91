"""What a token is worth, as somebody outside says it: readings, which pool to believe, and marks that are set aside.

Pure; knows no provider. Begin with `readings.py`.
"""
