"""How Sphinx builds the documentation: guides from Markdown, the reference from docstrings."""

from importlib.metadata import version as version_of

project = "sift_py and sift_server"
author = "the authors of sift_py and sift_server"
release = version = version_of("sift-py")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = True
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {release}"


def _markdown_fences(_app, _what, _name, _obj, _options, lines):  # noqa: ANN001, ANN202
    """Let docstrings write code as Markdown does: fences become literal blocks."""
    text = []
    indent = None
    for line in lines:
        bare = line.strip()
        if bare.startswith("```"):
            if indent is None:
                indent = line[: len(line) - len(line.lstrip())]
                text += [f"{indent}.. code-block:: {bare[3:] or 'text'}", ""]
            else:
                text.append("")
                indent = None
        elif indent is None:
            # A single backtick is code in Markdown, and nothing useful in reStructuredText.
            text.append(_code_spans(line))
        else:
            text.append(f"   {line}" if bare else "")
    lines[:] = text


def _code_spans(line: str) -> str:
    parts = line.replace("``", "\0").split("`")
    if len(parts) % 2 == 0:
        return line
    return "``".join(parts).replace("\0", "``")


def setup(app) -> None:  # noqa: ANN001, D103
    app.connect("autodoc-process-docstring", _markdown_fences, priority=1)
