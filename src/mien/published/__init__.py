"""Published checkpoints: read without running their code, converted, imported, fetched.

`read` gives the tensors of a file under their original names; `import_model`
writes a model folder. Nothing that a file names is imported or called.
"""

from mien.published._export import export_model
from mien.published._folder import digest_of, import_model
from mien.published._layouts import DIRECTIONS, Kind
from mien.published._read import Published, detect, read, read_part

__all__ = [
    "DIRECTIONS",
    "Kind",
    "Published",
    "detect",
    "digest_of",
    "export_model",
    "import_model",
    "read",
    "read_part",
]
