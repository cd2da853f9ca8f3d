"""Configuration of the documentation site (Sphinx with MyST and Furo)."""

from pathlib import Path

from corn.version import __version__

project = "corn"
author = "the corn authors"
project_copyright = "the corn authors"
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False  # it makes a dash of the hyphens of --option

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |# |>>> "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"corn {version}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static", "images"]  # corn.css names images
html_css_files = ["corn.css"]
html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))
html_theme_options = {"navigation_with_keys": True}
