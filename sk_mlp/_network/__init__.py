"""What a network is made of: its description, its layers, a user's own builder, its export."""
