"""What the commands in scripts/ are made of; see each package."""
