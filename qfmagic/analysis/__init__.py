"""Many prompts: map, compare, structured answers, and what it all used."""
