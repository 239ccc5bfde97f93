"""Classification by multilayer perceptrons."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.defaults import BUILT_IN
from sk_mlp._targets.labels import learn_labels
from sk_mlp.regressor import KerasMLPRegressor


class KerasMLPClassifier(ClassifierMixin, BaseKerasMLP):
    """Multilayer perceptron for binary, multiclass and multilabel classification, trained by a compiled program.

    Parameters
    ----------
    model : callable, keras.Model or None, default=None
        What to train in place of the built-in network: a function, method, partial, class or object with ``__call__``
        that returns a Keras model, or such a model itself. A model itself is a template, which is never changed: each
        fit trains a copy with new weights; only with ``warm_start=True`` the first fit goes on from its weights.

        The function's arguments are parameters of the estimator, by their own names and as ``model__name``. Where an
        argument has the name of a parameter below (``n_hidden``, ``learning_rate``, ...), the function gets that
        parameter's value if it is set; if not, the function's own default holds. ``**kwargs`` gets only parameters
        named ``model__...``. An argument named ``meta`` gets what is known of the data (see Notes), ``params`` all
        parameters, and ``compile_kwargs`` an optimizer, loss and metrics, made from them, for ``model.compile``.

        The model is trained as by Keras' ``fit``: X and y as they are (``input_scaling`` is None then, and a
        regressor's ``normalize_y`` False, unless they are set), one network, batches of 32, with the optimizer, loss,
        loss weight and metrics that it is compiled with. If it is not compiled, it is trained with those of the
        parameters. A parameter that describes the built-in network, such as ``n_hidden`` or ``activation``, is refused
        if it is set and the function has no such argument.
    categorical_features : "auto", columns or None, default="auto"
        Which columns of X hold categories: names, numbers, a mask and the like, as in
        `sklearn.compose.ColumnTransformer`; "auto" for those of a frame (pandas, polars) that are categories, strings
        or truth values. Up to 16 categories become columns of 0 and 1 (two become one of -1 and 1), more an embedding
        of 8 features. A category that the training rows do not have is unknown: all zero.
        With a ``model``, such columns are an error; truth values are 0 and 1 then.
    handle_missing : {"indicator", "impute", "error"}, default="indicator"
        What a missing number (nan, None) is: the median of the training rows (the mean without scaling), with a feature
        that tells that it is missing ("indicator") or without, or an error. A missing category is one of its own.
        With a ``model``, missing values are an error.
    input_scaling : {"auto", "robust", "standard"} or None, default="auto"
        How numbers are scaled, within the network. "robust" takes the median away, divides by the interquartile range
        and clips smoothly to (-3, 3); "standard" divides by the standard deviation; "auto" is "robust", and None for a
        sparse X. Columns far from 0, such as dates like 20180117, keep their digits: they are centred in float64.
    numerical_embedding : {"auto", "ple", "plr", "pbld"} or None, default="auto"
        Learned features of each scaled number, beside itself: piecewise linear in 48 bins, between which a decision
        tree of that column alone tells y apart ("ple": Gorishniy et al. 2022, arXiv 2203.05556), periodic with relu
        ("plr": the same), or periodic with a phase ("pbld": Holzmueller et al. 2024, arXiv 2407.04491). "auto" is
        "ple", and None for a sparse X or one of more than 200 columns.
    learned_scale : bool or "auto", default="auto"
        Whether each feature is multiplied by a weight of its own that learns fast (Holzmueller et al. 2024). "auto" is
        True where numbers are scaled, unless the optimizer is SGD.
    n_hidden : int or "auto", default="auto"
        Number of hidden layers; 0 for a linear model. "auto" is 3.
    n_neurons : int or "auto", default="auto"
        Neurons of each hidden layer. "auto" is 128.
    hidden_layer_sizes : int, array-like of int or None, default=None
        Neurons of each hidden layer in order; replaces ``n_hidden`` and ``n_neurons``.
    activation : str, default="auto"
        Of the hidden layers: "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh" or "sigmoid". "auto"
        is "mish".
    parametric_activation : bool or "auto", default="auto"
        Whether each hidden neuron learns how much of the activation it takes: x + a (f(x) - x), from a = 1
        (Holzmueller et al. 2024). "auto" is False.
    dropout : float in [0, 1) or "auto", default="auto"
        Share of each hidden layer's outputs that is left out in training. "auto" is a quarter of the share that is not
        explained: the least loss on the held-out rows so far, over the loss of predicting the classes' frequencies.
        While that share is 0.98 or more, it is 0.1. Dropout helps with noisy y and harms where classes can nearly
        always be told apart. This rule needs ``early_stopping`` and a cross-entropy without label smoothing; otherwise
        "auto" is 0.1.
    batch_norm : bool or "auto", default="auto"
        Whether to normalise each hidden layer's inputs to its activation over the batch. "auto" is False.
    kernel_initializer : str, default="auto"
        Keras name of the hidden layers' initial weights; "auto" follows ``activation``: He for relu's family, LeCun for
        selu, Glorot otherwise.
    skip_connection : bool or "auto", default="auto"
        Whether the inputs are joined to the last hidden layer (wide and deep: Cheng et al. 2016, arXiv 1606.07792).
        "auto" is False.
    wide_features, deep_features : columns or None, default=None
        Which features are joined to the last hidden layer (with ``skip_connection``), and which go into the first one:
        names, numbers, slices, masks or a function of X, as in `sklearn.compose.ColumnTransformer`; None for all.
    aux_output : bool or "auto", default="auto"
        Whether to train a second output on the last hidden layer alone, beside the one that predicts. Its loss is
        ``aux_output_loss`` in ``history_``, the main output's ``output_loss``. "auto" is False.
    aux_loss_weight : float in [0, 1), default=0.1
        Share of the auxiliary output's loss in the total loss.
    input_columns : dict, list or tuple of columns, or None, default=None
        For a ``model`` with several inputs: the columns of each, by name or in order.
    init_from : fitted KerasMLPClassifier or KerasMLPRegressor, or None, default=None
        The estimator from whose lowest hidden layers to start (transfer). Searches clone what they try: to search over
        several such estimators, wrap each in `sklearn.frozen.FrozenEstimator`.
    init_layers : int or None, default=None
        How many hidden layers to take over from ``init_from`` or the autoencoder; None for all that both have.
    frozen_epochs : float, default=0
        For how many epochs the layers taken over do not change; ``np.inf`` for always.
    pretrain : "autoencoder" or None, default=None
        Whether to start from the hidden layers of a network that learns to put out the features through mirrored
        layers, also on the rows ``X_unlabeled`` of `fit`. ``pretrain__epochs`` and the like set its own parameters.
    optimizer : "auto", str, type or keras.optimizers.Optimizer, default="auto"
        Keras name, class or object. Arguments of a name or class are set by ``optimizer__argument``. An object is not
        used itself but copied. "auto" is "adam"; with a ``model``, the one that it is compiled with, if it is.
    learning_rate : float, keras.optimizers.schedules.LearningRateSchedule or "auto", default="auto"
        The step's length; also as ``optimizer__learning_rate``. "auto" is 2e-3; with a ``model``, that of the optimizer
        that it is compiled with, or Keras' default for the ``optimizer``. If ``optimizer`` is an object, its own rate
        holds, and another one is an error.
    weight_decay : float or "auto", default="auto"
        Share of each kernel that a step takes away, times the learning rate (decoupled: Loshchilov and Hutter 2019,
        arXiv 1711.05101). Vectors, such as biases and normalizations, are exempt. "auto" is 0.02; with a
        ``model``, that of its optimizer, or 0. Also ``optimizer__weight_decay``.
    lr_schedule : "auto", str, callable, keras.optimizers.schedules.LearningRateSchedule or None, default="auto"
        Factor of ``learning_rate`` over time: "step", "exponential", "cosine", "coslog4", "one_cycle", "plateau" (of
        ``monitor``), or a function of the epoch's number; arguments of a name are set by ``lr_schedule__argument``.
        A Keras schedule gives the rate itself, by the step's number. "auto" is "cosine", and None with a ``model``.
    clip_norm : float or None, default=None
        Largest norm of the whole gradient; longer gradients are scaled down.
    ema_momentum : float in (0, 1) or None, default=None
        To validate, keep and predict with exponential moving averages of the weights: the share of the average that a
        step keeps, such as 0.97 (Polyak and Juditsky 1992, doi:10.1137/0330046, for the plain mean).
    batch_size : int or "auto", default="auto"
        Rows a step; all rows if they are fewer. "auto" takes a 40th of the rows, as a power of 2 from 32 to 256;
        with a ``model``, 32.
    epochs : int or "auto", default="auto"
        Passes over the training rows, at most. "auto" takes as many as 2,400 steps need, from 16 to 256, or 100 with
        a ``model``; `partial_fit` then trains at a constant rate.
    early_stopping : bool, default=True
        Whether to hold out rows, stop when their loss no longer falls and keep the weights of the best epoch.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows to hold out. Not used with ``X_val``, nor with a splitter as ``hold_out``.
    hold_out : {"random", "last", "group"} or splitter, default="random"
        Which rows to hold out. "random": at random, for classification with the classes in proportion. "last": the last
        ones, for rows in the order of time; an ensemble's pairs hold out successive blocks of them, and none trains on
        rows after its block. "group": whole groups (patients, say, with ``groups`` of `fit`), others for each pair, as
        near to ``validation_fraction`` of the rows as groups allow; where it can be, every class keeps rows to train
        on. A scikit-learn splitter: its first split, of an ensemble its first splits, one for each pair; its
        ``random_state`` is its own. Of a TimeSeriesSplit the first splits train on the fewest rows: prefer "last".
    patience : int or "auto", default="auto"
        Epochs without improvement after which to stop. "auto" is 8, and 10 with a ``model``.
    min_delta : float, default=0.0
        By how much the held-out loss must fall to count as an improvement.
    monitor : str, default="val_loss"
        What early stopping watches: "val_loss", or ``val_`` and the name of a metric. The metric, or else its name,
        decides whether it should rise: "my_accuracy" should, "brier_score" should not.
    shuffle : bool, default=True
        Whether to take the rows in a new random order in each epoch.
    loss : str, callable, keras.losses.Loss or None, default=None
        Keras name, class, object, or function of (y_true, y_pred) that returns a number a row; None for
        the cross-entropy, "focal" for the focal loss that fits y.
        Arguments of a name or class are set by ``loss__argument``. With a ``model`` that is compiled, None is its own
        loss.
    metrics : list or None, default=None
        Keras names, classes, objects or functions, computed in every epoch; ``metrics__...`` as in scikeras. With a
        ``model``, they come after those that it is compiled with.
        Keras' own get y in the layout that they are defined for; yours get it in the shape of the output, one column
        for two classes, else one a class or label. All get probabilities, also with a loss of logits. What does not
        heed ``sample_weight``, which is 0 for rows that fill up an epoch's last batch, needs Keras' ``fit``.
    callbacks : list, dict, keras.callbacks.Callback or None, default=None
        Keras callbacks or classes; ``callbacks__argument`` as in scikeras. Each fit gets deep copies of the objects. An
        ``EarlyStopping`` among them, or among those of `fit`, replaces the estimator's own: ``patience``, ``min_delta``
        and ``monitor`` have no part then, and unless it has ``restore_best_weights=True`` the last epoch's weights are
        kept. ``TerminateOnNaN`` has nothing to do: each fit ends once the loss is not finite, and keeps the weights of
        the best epoch before.
    ensemble_size : int or "auto", default="auto"
        How many networks to train, whose outputs are averaged. Each has a seed of its own, and each pair holds out
        other rows. "auto" is 8, and 1 with a ``model``.
    engine : {"auto", "compiled", "keras"}, default="auto"
        "compiled" trains by a compiled program, "keras" by Keras' ``fit`` on the same rows in the same order, "auto" by
        the compiled program wherever it can (not with callbacks that want to be called at every batch, for example).
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's weights, optimizer state and targets' scale. It trains ``epochs``
        more, and ``history_`` starts anew. Keras' words in `fit`, such as ``epochs=5``, hold for that call.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights, held-out rows, the order of rows and dropout. With an int, the process's own
        generators are neither used nor changed; None draws a seed from numpy's, as everywhere in scikit-learn.
    verbose : int, default=0
        1 shows a bar for the whole fit, in a terminal or a notebook (with ipywidgets), and prints a line at its end; 2
        prints a line an epoch and network. Both say why Keras' own ``fit`` was taken, if ``engine`` did not ask for it.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class, ``{label: weight}``; "balanced" for n_samples / (n_classes * count), where rows
        count by their ``sample_weight``. A list holds a dict a label of a multilabel y. Multiplies ``sample_weight``,
        also of the held-out rows.
    label_smoothing : float in [0, 1), default=0.0
        Share of a label's weight that is spread over all classes (Szegedy et al. 2016, arXiv 1512.00567).
    calibrate : bool or "auto", default="auto"
        Whether to divide the logits by a temperature, the one with the least log-loss on the held-out rows (Guo et al.
        2017, arXiv 1706.04599). "auto" is True for an ensemble, whose temperature is derived from those of single
        networks and of pairs.
    **routed : dict
        Parameters named ``optimizer__...``, ``lr_schedule__...``, ``loss__...``, ``metrics__...``, ``callbacks__...``,
        ``pretrain__...``, ``model__...`` and ``fit__...`` (Keras' words of `fit`), and arguments of the function given
        as ``model``. Unknown names are refused by `fit`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order; column numbers for multilabel.
    model_ : keras.Model
        The trained network; a copy, made when it is first asked for. With columns that are scaled, embedded or
        categories, and with ``parametric_activation``, it has layers of `sk_mlp.layers`. Of a ``model``, it is
        the very network that predicts, compiled in the same way: ``model_.evaluate(X, y)`` is the loss of `predict`.
        (The parameter ``model`` stays the function.)
    history_ : dict of list of float
        One entry an epoch: ``loss``, ``val_loss`` where rows are held out, metrics, ``learning_rate``.
        For an ensemble, the mean over its members, where each counts with the figures of the epoch that it keeps from
        that epoch on: at ``best_epoch_`` it is the mean of what they keep.
    member_histories_ : list of dict
        Of each member its own figures, of all its epochs, in lists as those of ``history_``; ``best_epoch``, the index
        of the one whose weights it keeps, -1 for the initial ones; and ``stopped_by``: "epochs" (all were run),
        "patience", "perfect" (nothing was left to improve), "non-finite" (the loss) or "callback".
    n_iter_ : int
        Number of epochs run; of an ensemble, by the member that had most.
    best_epoch_ : int
        Index into ``history_`` of the epoch whose weights were kept; of an ensemble, the last one that a member keeps;
        -1 if those are the initial ones.
    fit_time_ : float
        Seconds that `fit` took; not set by `partial_fit`, nor for a search's candidates, which are trained together.
    n_outputs_ : int
        Width of the network's output.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features,), of str
        Names of the features, if X had names that are all strings.
    categories_ : dict of ndarray
        Categories of each categorical column, by its name or number, in the order of their codes.
    column_statistics_ : list of dict of ndarray
        What each member has learned of the columns of numbers: ``fill`` replaces a missing one, ``center`` is
        subtracted, ``scale`` multiplies.
    autoencoder_ : KerasMLPRegressor
        The autoencoder from whose lower layers training started; only with ``pretrain``.

    See Also
    --------
    KerasMLPRegressor : The same for numbers.

    Notes
    -----
    y may be class numbers, words, or dummies: a matrix with a column a class and one 1 in each row. Dummies need a loss
    that compares classes, such as "categorical_crossentropy" or "sparse_categorical_crossentropy", given as ``loss`` or
    compiled into the ``model``, or a ``model`` that ends in a softmax; `predict` then returns dummies, and `score` is
    the accuracy. Otherwise such a matrix is one of several labels. Whatever y looks like, it is brought into the form
    that the loss needs.

    ``meta``, for a function that builds a model, is a dict of ``n_features_in_``, ``n_outputs_``, ``target_type_``
    ("binary", "multiclass" or "multilabel-indicator"), ``classes_``, ``n_classes_``, ``target_encoder_`` (a fitted
    `sklearn.preprocessing.LabelEncoder`; not for several labels or dummies), ``X_shape_``, ``X_dtype_``, ``y_dtype_``,
    ``y_ndim_`` and ``n_outputs_expected_``.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sk_mlp import KerasMLPClassifier
    >>> X, y = make_classification(200, 5, random_state=0)
    >>> mlp = KerasMLPClassifier(n_neurons=16, learning_rate=1e-2, random_state=0).fit(X, y)
    >>> mlp.predict_proba(X[:2]).shape
    (2, 2)
    >>> mlp.score(X, y) > 0.8
    True
    """

    _parameter_constraints: dict = {
        **BaseKerasMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "calibrate": ["boolean", StrOptions({"auto"})],
    }

    _y_checks: ClassVar = {}
    _learn_targets = staticmethod(learn_labels)
    _built_in_defaults = BUILT_IN | {"parametric_activation": False, "learning_rate": 2e-3, "patience": 8}

    def __init__(
        self,
        model=None,
        *,
        categorical_features="auto",
        handle_missing="indicator",
        input_scaling="auto",
        numerical_embedding="auto",
        learned_scale="auto",
        n_hidden="auto",
        n_neurons="auto",
        hidden_layer_sizes=None,
        activation="auto",
        parametric_activation="auto",
        dropout="auto",
        batch_norm="auto",
        kernel_initializer="auto",
        skip_connection="auto",
        wide_features=None,
        deep_features=None,
        aux_output="auto",
        aux_loss_weight=0.1,
        input_columns=None,
        init_from=None,
        init_layers=None,
        frozen_epochs=0,
        pretrain=None,
        optimizer="auto",
        learning_rate="auto",
        weight_decay="auto",
        lr_schedule="auto",
        clip_norm=None,
        ema_momentum=None,
        batch_size="auto",
        epochs="auto",
        early_stopping=True,
        validation_fraction=0.1,
        hold_out="random",
        patience="auto",
        min_delta=0.0,
        monitor="val_loss",
        shuffle=True,
        loss=None,
        metrics=None,
        callbacks=None,
        ensemble_size="auto",
        engine="auto",
        warm_start=False,
        random_state=None,
        verbose=0,
        class_weight=None,
        label_smoothing=0.0,
        calibrate="auto",
        **routed: Any,
    ) -> None:
        super().__init__(
            model,
            categorical_features=categorical_features,
            handle_missing=handle_missing,
            input_scaling=input_scaling,
            numerical_embedding=numerical_embedding,
            learned_scale=learned_scale,
            n_hidden=n_hidden,
            n_neurons=n_neurons,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            parametric_activation=parametric_activation,
            dropout=dropout,
            batch_norm=batch_norm,
            kernel_initializer=kernel_initializer,
            skip_connection=skip_connection,
            wide_features=wide_features,
            deep_features=deep_features,
            aux_output=aux_output,
            aux_loss_weight=aux_loss_weight,
            input_columns=input_columns,
            init_from=init_from,
            init_layers=init_layers,
            frozen_epochs=frozen_epochs,
            pretrain=pretrain,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            lr_schedule=lr_schedule,
            clip_norm=clip_norm,
            ema_momentum=ema_momentum,
            batch_size=batch_size,
            epochs=epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            hold_out=hold_out,
            patience=patience,
            min_delta=min_delta,
            monitor=monitor,
            shuffle=shuffle,
            loss=loss,
            metrics=metrics,
            callbacks=callbacks,
            ensemble_size=ensemble_size,
            engine=engine,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            **routed,
        )
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.calibrate = calibrate

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one more epoch on these rows.

        The first call starts a new network and learns the classes and how to scale X's columns: one that is constant in
        its rows has no part later on. No rows are held out, so early stopping does not
        take part: ``early_stopping`` is for `fit`. A schedule that spans all epochs, such as "cosine", is followed if
        ``epochs`` is a number, and until then; ``learning_rate`` itself holds otherwise. A temperature stays that of
        the last `fit`.

        Each call is one epoch, whatever ``epochs`` is. Keras' words, such as ``batch_size=64``, are for `fit`; here the
        parameters hold. With a ``model``, the state of its optimizer goes on from call to call.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come, for the first call; those of y if None.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, as in `fit`.

        Returns
        -------
        KerasMLPClassifier
            The estimator itself.
        """
        return self._one_epoch(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> NDArray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``, rows summing to 1; for multilabel, the probability of each label.
        """
        output = self._output(X)
        return self._fitted.targets.probabilities(output, self._fitted.loss_of_logits, self._fitted.loss_of_margins)

    def predict_members(self, X: Any) -> NDArray:
        """Predict the probability of each class by each network of the ensemble alone.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_members, n_samples, n_classes), float64
            Columns in the order of ``classes_``; for multilabel, the probability of each label. The temperature of
            ``calibrate`` is in them. Their mean is what `predict_proba` returns, unless the network's output is logits
            or margins, which are averaged before they become probabilities.
        """
        outputs = self._outputs(X)
        fitted = self._fitted
        of_loss = fitted.loss_of_logits, fitted.loss_of_margins
        return np.stack([fitted.targets.probabilities(output, *of_loss) for output in outputs])

    def predict_log_proba(self, X: Any) -> NDArray:
        """Predict the logarithm of each class's probability.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            As `predict_proba` has them; -inf where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray:
        """Predict labels.

        Parameters
        ----------
        X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples,), or of shape (n_samples, n_labels), int
            Labels, of the dtype of ``classes_``; for multilabel, 1 for each label that a row has, else 0.
        """
        probabilities = self.predict_proba(X)  # which checks that this is fitted
        return self._fitted.targets.labels(probabilities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @classmethod
    def _regressor_class(cls) -> type[KerasMLPRegressor]:
        return KerasMLPRegressor
