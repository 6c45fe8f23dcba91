"""Why a call came, in the chat. Begin with `why.py`."""
