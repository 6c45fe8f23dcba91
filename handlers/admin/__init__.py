"""What only admins can do, one mixin per file."""
