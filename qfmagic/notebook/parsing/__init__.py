"""What stands on a magic's line."""
