"""What is put into pages of `corn dev`, so that browsers load them again when what they show has changed."""
