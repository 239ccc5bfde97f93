"""The examples of the docstrings run and show what they say; what they say of parameters is true, and complete."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate
from public import found, public_methods, public_names

import sk_mlp
from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._estimator.defaults import N_HIDDEN, N_NEURONS

WITH_EXAMPLES = [
    module
    for module in (importlib.import_module(name) for _, name, _ in pkgutil.walk_packages(sk_mlp.__path__, "sk_mlp."))
    if ">>>" in Path(module.__file__).read_text()
]
# As scikit-learn has it: a summary on the quotes' own line, an extended one where there is something to say.
NOT_ASKED = {"GL01", "GL02", "ES01", "RT02"}
# "See Also" and examples: of what users call, neither of each method, nor of Keras' pieces and results.
OF_ENTRIES = {"SA01", "EX01"}
ENTRIES = re.compile(
    r"sk_mlp\.((model_selection|inspection)\.)?(?!ModelFileError|NotCompilableError|LearningRateSweep)\w+"
)
# Keras and `Schedule` say what these take and return.
OVERRIDES = {"factors", "observe", "build", "call", "get_config", "compute_output_shape", "compute_output_spec"}
OF_SIGNATURES = {"PR01", "RT01"}

ESTIMATORS = [KerasMLPClassifier, KerasMLPRegressor]
# Parameters whose text is another for each of the two, but for the value of "auto" alone, and in more than that.
OTHER_VALUES = {"parametric_activation", "learning_rate", "patience"}
OTHER_TEXTS = {"dropout", "early_stopping", "loss", "metrics"}
IS_AUTO = re.compile(r'"auto"\s+is\s+("?\w+(?:[.-]\d+)*"?)')


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: module.__name__)
def test_examples(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where examples write files
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", public_names())
def test_public_names_follow_numpydoc(name):
    public = found(name)
    methods = public_methods(public) if inspect.isclass(public) else []
    wrong = []
    for documented in [name, *(f"{name}.{method}" for method in methods)]:
        ignored = set(NOT_ASKED)
        if not ENTRIES.fullmatch(documented):
            ignored |= OF_ENTRIES
        if documented.rpartition(".")[2] in OVERRIDES:
            ignored |= OF_SIGNATURES
        wrong += [
            f"{documented}: {code} {what}" for code, what in validate(documented)["errors"] if code not in ignored
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", public_names())
def test_names_that_end_in_an_underscore_are_no_links(name):
    public = found(name)
    methods = public_methods(public) if inspect.isclass(public) else []
    for documented in [public, *(inspect.getattr_static(public, method) for method in methods)]:
        text = re.sub(r"``.*?``|`.*?`", "", inspect.getdoc(documented) or "", flags=re.DOTALL)
        text = re.sub(r"^(\w+, )*\w+_( :|$)|^>>> .*|^\.\.\. .*", "", text, flags=re.MULTILINE)  # entries, examples
        links = re.findall(r"\b\w+_(?!\w)", text)
        assert not links, f"{name}, {documented}: ``{links[0]}`` is a link that leads nowhere in reStructuredText"


@pytest.mark.parametrize("name", public_names())
def test_public_methods_are_annotated(name):
    public = found(name)
    if not inspect.isclass(public):
        functions = {name: public}
    else:
        of_class = {method: inspect.getattr_static(public, method) for method in public_methods(public)}
        functions = {
            f"{name}.{method}": getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            for method, value in of_class.items()
        }
    for called, function in functions.items():
        signature = inspect.signature(function)
        bare = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in _OWN]
        assert not bare, f"{called}: {bare}"
        assert signature.return_annotation is not signature.empty, f"{called} does not say what it returns"


_OWN = ("self", "cls")


def documented(cls: type) -> dict[str, tuple[str, str]]:
    """Type and text of each parameter; of several in one entry, each of them."""
    return {
        name: (entry.type, " ".join(" ".join(entry.desc).split()))
        for entry in ClassDoc(cls)["Parameters"]
        for name in entry.name.split(", ")
    }


@pytest.mark.parametrize("name", [name for name in public_names() if inspect.isclass(found(name))])
def test_parameters_are_those_of_the_signature(name):
    cls = found(name)
    if issubclass(cls, Exception):
        return
    given, signature = documented(cls), inspect.signature(cls).parameters
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    assert list(given) == [stars.get(p.kind, "") + p.name for p in signature.values()]
    for name, (kind, _) in given.items():
        if name.startswith("*") or signature[name].default is inspect.Parameter.empty:
            assert "default=" not in kind, name
        else:
            said = kind.partition("default=")[2]
            assert said, f"{name}: no default is documented"
            default = signature[name].default
            assert default != default if said == "nan" else eval(said) == default, f"{name}: {said}"


def test_shared_parameters_have_the_same_text():
    classifier, regressor = (documented(cls) for cls in ESTIMATORS)
    shared = [name for name in classifier if name in regressor]
    order = [name for name in regressor if name in classifier]
    assert shared == order
    differ = {name for name in shared if classifier[name] != regressor[name]}
    assert differ == OTHER_VALUES | OTHER_TEXTS
    for name in OTHER_VALUES:
        texts = {IS_AUTO.sub("auto", each[name][1]) for each in (classifier, regressor)}
        assert len(texts) == 1, name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_values_of_auto_are_documented(cls):
    texts = documented(cls)
    values = {**cls._built_in_defaults, "n_hidden": N_HIDDEN, "n_neurons": N_NEURONS}
    for name, value in values.items():
        said = IS_AUTO.search(texts[name][1])
        assert said, f"{name}: what 'auto' is is not documented"
        assert eval(said[1]) == value, name
