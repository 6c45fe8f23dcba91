"""Taking everything along, and going, as people read it."""
