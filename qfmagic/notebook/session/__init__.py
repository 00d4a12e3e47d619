"""What a notebook holds: settings, keys, what answers."""
