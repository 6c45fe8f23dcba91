"""What cards are made of: lines, the buttons below, and where figures come from. Knows nothing of who gets them."""
