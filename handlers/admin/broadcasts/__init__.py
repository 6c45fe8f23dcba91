"""What the operator says to many: written, aimed, shown, begun, held up, ended. Begin with `writing.py`."""
