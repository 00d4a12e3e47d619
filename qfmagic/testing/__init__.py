"""What tests and demonstrations use: the stub over HTTP, and a player of notebooks."""
