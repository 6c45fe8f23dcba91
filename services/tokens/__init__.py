"""What the bot knows of a token that somebody names: its figures now, who called it here, what became of that."""
