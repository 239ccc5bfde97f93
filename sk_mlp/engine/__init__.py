"""The engine: members of one structure, trained side by side by a compiled program. Private.

The training step is written once, for one model (`step`: forward, loss, gradient, update, over stock Keras layers).
`epoch` maps it over members and puts the loop over an epoch's batches around it; `program` compiles that with XLA, and
keeps the programs used last. A single fit is a population of one: there is no second way to train.

What may differ between members is data with a leading member axis: weights, optimizer state, learning rate, weight
decay, dropout rates, seed, the order of rows. What decides the graph is in the `Recipe`: the network, optimizer class,
loss, metrics, batch size. `structure` makes the key by which two recipes may share a program; a wrong key would train
one user's loss by another's program, so it goes by code and closures, not by names alone.

A `Run` is a member on its way: history, early stopping, which epoch's state is kept. `train` is the loop over epochs;
runs enter a `Population` when a slot is free and leave when they are done. A `CompiledPopulation` holds one program's
tensors. A `KerasPopulation` trains one member by Keras' own `fit` on the same rows in the same order: the way out for
what cannot be compiled (`compilable` says what), and the oracle in tests.

`cohort` trains many runs at once, as searches have them: runs of one structure in one program, narrower networks
padded within wider ones (`padded_widths`), a thread for each core. `variable_groups` joins small variables to vectors,
which compile and run faster. `keras_callbacks` calls Keras callbacks at their events. `predict` computes the outputs of
a user's model by a traced call; those of the built-in network are NumPy's, in `_network.forward`.

The engine knows nothing of estimators. It gets arrays, recipes and members, and returns states: two flat vectors each.
"""
