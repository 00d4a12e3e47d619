"""What an audit looks at, one module a kind of finding."""
