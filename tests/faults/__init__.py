"""Everything that can go wrong on the way, over real sockets."""
