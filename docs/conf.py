"""How Sphinx builds the documentation: ``python -m sphinx -W -n --keep-going docs docs/_build/html``.

Nothing is fetched: neither when the pages are built nor when they are read.
"""

import os

# Before TensorFlow is imported by an example.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import inspect
from importlib import import_module

from docutils import nodes

import sk_mlp


def inherited_from_sklearn(name):
    """Methods of a class that scikit-learn documents, as ``{method: full name}``; "name" is the class's full name."""
    module, _, own = name.rpartition(".")
    return {
        method: f"{function.__module__.split('._')[0]}.{function.__qualname__}"
        for method, function in inspect.getmembers(
            getattr(import_module(module), own), inspect.isfunction
        )
        if not method.startswith("_") and function.__module__.startswith("sklearn.")
    }


def is_ours(member):
    """Whether this package has written a method or property."""
    function = (
        member.fget
        if isinstance(member, property)
        else inspect.unwrap(member)
        if callable(member)
        else member
    )
    return getattr(function, "__module__", "").startswith("sk_mlp")


def skip_what_others_document(app, what, name, member, skip, options):
    """Leave out of a class's page what it inherits from another package."""
    return skip or (what == "class" and not is_ours(member)) or None


project = "sk_mlp"
author = "sk_mlp developers"
copyright = f"2026, {author}"
version = release = sk_mlp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.py", "gallery/**/*.py"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = True
suppress_warnings = ["config.cache"]  # of `autosummary_context`, which holds a function

autosummary_generate = True
autosummary_context = {"inherited_from_sklearn": inherited_from_sklearn}
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's "Parameters" say the types, in words
numpydoc_show_class_members = False  # `_templates/autosummary/class.rst` shows them
numpydoc_xref_param_type = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "sk_mlp"
html_static_path = ["_static"]
html_css_files = ["sk_mlp.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sk_mlp"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 2,
    "show_prev_next": False,
    "navigation_with_keys": False,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "quick_start": [], "changes": []}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_\w+\.py$",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sk_mlp",),
    "reference_url": {"sk_mlp": None},
    "backreferences_dir": None,
    "reset_modules": ("matplotlib",),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,  # a page whose table wants scripts from elsewhere
    "remove_config_comments": True,
    "plot_gallery": "True",
}

# Pages of other packages, whose addresses follow from the names: intersphinx would have to look them up.
PAGES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "joblib": "https://joblib.readthedocs.io/en/stable/generated/{}.html",
}
MODULES = {"sk_mlp.inspection", "sk_mlp.layers", "sk_mlp.model_selection"}
WITHOUT_PAGES = {"keras", "matplotlib", "numpy", "onnx", "optuna", "pandas", "tf"}


def link_elsewhere(app, env, node, contnode):
    """Link a name of another package to its page; leave methods, such as `fit`, without a link."""
    target = node.get("reftarget", "")
    if page := PAGES.get(target.partition(".")[0]):
        return nodes.reference(
            "", "", contnode, internal=False, refuri=page.format(target)
        )
    python = env.get_domain("py")
    for name, known in python.objects.items():  # of another public module
        if name.endswith(f".{target}") and known.objtype in ("class", "function"):
            where = node["refdoc"]
            return python.resolve_xref(
                env, where, app.builder, "obj", name, node, contnode
            )
    owner = getattr(
        import_module(node.get("py:module") or "sk_mlp"),
        node.get("py:class") or "",
        None,
    )
    owners = (owner, sk_mlp.KerasMLPClassifier, sk_mlp.KerasMLPRegressor)
    is_method = any(hasattr(each, target) for each in owners if each is not None)
    is_theirs = target.partition(".")[0] in WITHOUT_PAGES or target in MODULES
    is_term = node.get("reftype") == "term"
    return contnode if is_method or is_theirs or is_term else None


def setup(app):
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_what_others_document)
    app.connect("missing-reference", link_elsewhere)
