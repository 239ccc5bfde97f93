"""Networks: their description, layers and activations, a user's own builder, and export to Keras."""
