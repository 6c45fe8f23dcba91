"""What a person takes with them, line by line, for a spreadsheet or for a program. Begin with `lines.py`."""
