"""The prose check: Vale's rules and the texts that it reads."""
