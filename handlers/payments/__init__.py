"""What a subscriber has, and what plans cost, in the chat."""
