"""Files that must be read for ever, and files that somebody has damaged or made up."""

import io
import json
import pickle
import resource
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from optional import needed, pd
from plain import plain_classifier, plain_regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPClassifier, ModelFileError, Predictor, load_model, load_predictor, save_model
from sk_mlp._files import archive

FILES = Path(__file__).parent / "files"
N = 40
N_MUTANTS = 500


def table():
    """Rows of every kind; the same in all versions."""
    number = np.cos(np.arange(N))
    return pd.DataFrame(
        {
            "number": np.where(np.arange(N) % 7, number, np.nan),
            "word": np.array(["a", "b", "c"])[np.arange(N) % 3],
            "when": pd.date_range("2020-01-31", periods=N),
        }
    )


def labels():
    return np.where(np.cos(np.arange(N)) > 0, "yes", "no")


def make_files(folder):
    """The recipe of tests/files: `python tests/test_kept_files.py`, where a new minor version adds to what is kept."""
    mlp = KerasMLPClassifier(hidden_layer_sizes=(4,), ensemble_size=2, epochs=2, random_state=0, warm_start=True)
    mlp.fit(table(), labels())
    save_model(mlp, folder / "classifier-0.1.mlp")
    regressor = plain_regressor(hidden_layer_sizes=(3,), epochs=2, random_state=0)
    regressor.fit(np.cos(np.arange(2.0 * N)).reshape(N, 2), np.sin(np.arange(N)))
    save_model(regressor, folder / "regressor-0.1.mlp")
    told = {
        "classifier-0.1.mlp": mlp.predict_proba(table()).tolist(),
        "regressor-0.1.mlp": regressor.predict(np.cos(np.arange(2.0 * N)).reshape(N, 2)).tolist(),
    }
    (folder / "predictions-0.1.json").write_text(json.dumps(told) + "\n")


@pytest.mark.parametrize("name", ["classifier-0.1.mlp", "regressor-0.1.mlp"])
def test_files_of_this_major_version_are_read(name):
    told = json.loads((FILES / "predictions-0.1.json").read_text())[name]
    loaded, predictor = load_model(FILES / name), load_predictor(FILES / name)
    is_classifier = hasattr(loaded, "classes_")
    X = table() if is_classifier else np.cos(np.arange(2.0 * N)).reshape(N, 2)
    method = "predict_proba" if is_classifier else "predict"
    found = getattr(loaded, method)(X)
    np.testing.assert_allclose(found, told, rtol=1e-6)  # the last bits are the processor's
    np.testing.assert_array_equal(getattr(predictor, method)(X), found)
    before = loaded.n_iter_
    loaded.partial_fit(X, labels() if is_classifier else np.sin(np.arange(N)))
    assert loaded.n_iter_ == before + 1


class Executed:
    def __reduce__(self):
        return exec, ("executed.append(1)", {"executed": EXECUTED})


EXECUTED: list = []


def members_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(members, comment, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as file:
        for name, data in members:
            file.writestr(name, data)
        file.comment = comment
    return buffer.getvalue()


def mutants(data, rng):
    """Damaged and made-up files: each kind in turn."""
    members = members_of(data)
    comment = zipfile.ZipFile(io.BytesIO(data)).comment
    names = [name for name in members if name != archive.TEXT]
    bomb = b"0" * 10**7
    strange = ["/etc/passwd", "../model.mlp", "arrays/../x.npy", "C:\\x", "arrays/00.npy", "arrays/9.npy", "code.py"]

    def with_sums(changed):
        """The members with checksums that are right."""
        text = json.loads(changed[archive.TEXT])
        arrays = {name: content for name, content in changed.items() if name != archive.TEXT}
        text["members"] = {name: archive.hashlib.sha256(content).hexdigest() for name, content in arrays.items()}
        encoded = json.dumps(text).encode()
        return zipped([(archive.TEXT, encoded), *arrays.items()], archive.hashlib.sha256(encoded).hexdigest().encode())

    def swapped(i):
        one, other = rng.choice(names, 2, replace=False)
        changed = {**members, one: members[other], other: members[one]}
        return with_sums(changed) if i % 2 else zipped(changed.items(), comment)

    def flipped(i):
        changed = bytearray(data)
        for place in rng.integers(len(data), size=1 + i % 3):
            changed[place] ^= 1 << int(rng.integers(8))
        return bytes(changed)

    def bombed(i):
        name = [archive.TEXT, *names][i % (len(names) + 1)]
        return zipped({**members, name: bomb}.items(), comment, compression=zipfile.ZIP_DEFLATED)

    def pickled(i):
        content = pickle.dumps(Executed())
        if i % 3 == 0:
            return content
        if i % 3 == 1:
            return with_sums({**members, names[0]: content})
        buffer = io.BytesIO()
        np.save(buffer, np.array([Executed()], dtype=object), allow_pickle=True)
        return with_sums({**members, names[0]: buffer.getvalue()})

    def named(i):
        name = strange[i % len(strange)]
        if i % 2:
            return zipped([*members.items(), (name, b"x")], comment)
        changed = dict(members)
        changed[name] = changed.pop(names[0])
        return with_sums(changed)

    def larger(i):
        """An array that says to be larger than it is."""
        content = members[names[0]].replace(b"'shape': (", b"'shape': (99999999")[: len(members[names[0]])]
        return with_sums({**members, names[0]: content})

    def another_value(i):
        """One value of the text is another."""
        text = json.loads(members[archive.TEXT])
        places = list(walk(text["content"]))
        holder, key = places[int(rng.integers(len(places)))]
        others = [None, -1, 10**12, "os.system", [], {}, {"named": "x"}, {"tuple": [1]}, {"array": 99}, True, 1e300]
        holder[key] = others[i % len(others)]
        return with_sums({**members, archive.TEXT: json.dumps(text).encode()})

    def walk(value):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            if isinstance(item, (dict, list)):
                yield from walk(item)

    kinds = [
        lambda i: data[: int(rng.integers(len(data)))],
        flipped,
        swapped,
        bombed,
        pickled,
        named,
        larger,
        another_value,
        lambda i: zipped([*members.items(), next(iter(members.items()))], comment),
        lambda i: data + bytes(rng.integers(256, size=5, dtype=np.uint8)),
    ]
    for i in range(N_MUTANTS):
        with warnings.catch_warnings():  # of zipfile, for names that are there twice
            warnings.simplefilter("ignore", UserWarning)
            mutant = kinds[i % len(kinds)](i // len(kinds))
        yield kinds[i % len(kinds)].__name__, mutant


def test_damaged_files_are_refused_or_read_as_they_were(tmp_path):
    """Nothing is executed, nothing but the one error is raised, and memory stays within bounds."""
    original = FILES / "classifier-0.1.mlp"
    X, path = table(), tmp_path / "mutant.mlp"
    told = load_predictor(original).predict_proba(X)
    refused = other = 0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, mutant in mutants(original.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(mutant)
        try:
            predictor, loaded = load_predictor(path), load_model(path)
        except ModelFileError:
            refused += 1
            continue
        other += 1
        is_another = kind in ("another_value", "swapped")  # with checksums that are right: a whole one, but another
        try:
            found = predictor.predict_proba(X)
        except ValueError:  # of X, which has not this other model's columns
            assert is_another
            continue
        np.testing.assert_array_equal(Predictor.from_estimator(loaded).predict_proba(X), found)
        assert is_another or np.array_equal(found, told), kind
    assert not EXECUTED
    assert refused > N_MUTANTS * 0.8
    assert refused + other == N_MUTANTS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 2**18  # KB


def test_skops_keeps_pipelines(tmp_path):
    needed("skops")
    import skops.io

    mlp = plain_classifier(hidden_layer_sizes=(4,), epochs=2, random_state=0, numerical_embedding="ple")
    X = np.cos(np.arange(3.0 * N)).reshape(N, 3)
    pipeline = make_pipeline(StandardScaler(), mlp).fit(X, labels())
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert all(name.startswith("sk_mlp.") for name in unknown), unknown
    loaded = skops.io.load(tmp_path / "pipeline.skops", trusted=unknown)
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    make_files(FILES)
