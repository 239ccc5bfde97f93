"""Losses, metrics, optimizers, callbacks and dtype policies of Keras, and scikeras."""
