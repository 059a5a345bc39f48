"""How the documentation is built: see the end of ``index.md`` for the commands."""

from __future__ import annotations

import importlib.metadata
import sys
import typing
from pathlib import Path

# jaxtyping asks for this name: annotations are then written `Float[Tensor, "batch classes"]`,
# without the module they come from. It has to be set before anything imports jaxtyping.
typing.GENERATING_DOCUMENTATION = "metaloss"  # type: ignore[attr-defined]

sys.path.insert(0, str(Path(__file__).parent / "ext"))

project = "metaloss"
author = "The metaloss authors"
copyright = author
release = importlib.metadata.version("metaloss")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "myst_parser",
    "sphinx_copybutton",
    "sphinxcontrib.typer",
    "api_coverage",
    "docstrings",
    "hyperparameter_table",
    "mathml",
    "result_table",
    "short_references",
]

exclude_patterns = ["_build", "examples", "scripts", "requirements.txt"]
nitpicky = True
# Types inside of `metaloss.bilevel` that its public signatures name.
nitpick_ignore_regex = [
    ("py:class", r"metaloss\.bilevel\.\w+\.\w+"),
    # The libraries that `metaloss.integrations` is for, the one that draws, and arrays.
    ("py:class", r"(lightning|transformers)\..*"),
    ("py:class", r"matplotlib\..*"),
    ("py:class", r"numpy\..*"),
    ("py:class", r"(metaloss\.processes\.first\.)?[PR]"),  # the types of any function
]
# learn2learn's dataset, described so that nothing here imports it.
nitpick_ignore = [
    ("py:class", "metaloss.tasks.learn2learn_tasks.KnowsLabels"),
    ("py:class", "metaloss.tasks.sources.Samples"),
    (
        "py:class",
        "Path",
    ),  # of metaloss.fit, whose annotations name what it imports when it is called
]

# Markdown
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Reference pages
add_module_names = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_class_signature = "mixed"
autodoc_typehints_format = "short"
autosummary_generate = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are described once, with the class
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
api_coverage_modules = [
    "metaloss",
    "metaloss.adjusters",
    "metaloss.bench",
    "metaloss.bilevel",
    "metaloss.conditioners",
    "metaloss.diagnostics",
    "metaloss.diagnostics.figures",
    "metaloss.diagnostics.gradients",
    "metaloss.diagnostics.theorems",
    "metaloss.experiments",
    "metaloss.labels",
    "metaloss.losses",
    "metaloss.meta_losses",
    "metaloss.models",
    "metaloss.predict",
    "metaloss.pretrained",
    "metaloss.tasks",
    "metaloss.tasks.corruption",
    "metaloss.tasks.noise",
    "metaloss.report",
    "metaloss.reproduce",
    "metaloss.sweeps",
    "metaloss.theory",
    "metaloss.training",
]

# Examples
EXAMPLES = Path(__file__).parent / "examples"
doctest_path = [str(EXAMPLES), str(EXAMPLES / "own_pair")]
doctest_global_setup = "import torch; torch.manual_seed(0)"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Looks
html_theme = "furo"
html_title = "metaloss"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["metaloss.css"]
pygments_style = "tango"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f5f93",
        "color-brand-content": "#1f5f93",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb6e0",
        "color-brand-content": "#7fb6e0",
    },
}
