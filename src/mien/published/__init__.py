"""Published checkpoints: read without running their code, converted, imported, fetched.

`read` gives the tensors of a file under their original names; `import_model`
writes a model folder. Nothing that a file names is imported or called.
"""

from mien.published._folder import import_model
from mien.published._layouts import Kind
from mien.published._read import Published, detect, read

__all__ = ["Kind", "Published", "detect", "import_model", "read"]
