"""Keys: chosen, kept, turned into tokens and signatures, and kept out of what is shown."""
