from __future__ import annotations

from importlib.metadata import version as version_of

project = "heliograph"
author = "the heliograph authors"
project_copyright = "the heliograph authors"
version = release = version_of("heliograph")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "heliograph"
html_show_sourcelink = False
