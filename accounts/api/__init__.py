"""REST of people's tokens."""
