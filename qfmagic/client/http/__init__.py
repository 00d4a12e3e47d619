"""HTTP: connections, their pool, requests, and what comes back piece by piece."""
