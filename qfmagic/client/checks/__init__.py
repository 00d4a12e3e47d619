"""What ``%qf doctor`` and ``%qf auth check`` look at."""
