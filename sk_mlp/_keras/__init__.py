"""What touches Keras' own ways: losses, metrics, optimizers, callbacks, dtype policies, and scikeras."""
