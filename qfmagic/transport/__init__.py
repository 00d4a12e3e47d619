"""What can stand in for the network: the stub service, and scripted answers for tests."""
