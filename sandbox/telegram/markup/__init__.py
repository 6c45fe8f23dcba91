"""Texts, entities and buttons as Telegram reads them, refusals included. Begin with `formatting.py`."""
