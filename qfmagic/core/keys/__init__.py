"""Keys found in a text, however they are spelled there."""
