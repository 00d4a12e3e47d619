"""The way to the service: settings, credentials, one async client on one background loop, and its synchronous face."""
