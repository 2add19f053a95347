"""A bucket that is a folder: gs://bucket/... is read and written below it, through the same epath and orbax."""

import contextlib
from pathlib import Path
from unittest import mock

from etils.epath import backend, gpath
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem


class _Bucket(DirFileSystem):
    """As gcsfs: paths begin with gs:// or not, are listed without, and a folder is whatever holds an object."""

    protocol = ("gs", "gcs")

    def _join(self, path):
        return super()._join(path.removeprefix("gs://"))

    def open(self, path, mode="rb", **options):
        if "a" in mode:
            raise NotImplementedError("an object cannot be appended to")
        if "w" in mode:
            self.fs.makedirs(Path(self._join(path)).parent, exist_ok=True)
        return super().open(path, mode, **options)

    def rename(self, *_, **__):
        raise NotImplementedError("folders of objects are not renamed")


@contextlib.contextmanager
def folder_as_bucket(folder: Path):
    """While entered, gs:// leads into `folder`."""
    files = _Bucket(str(folder), LocalFileSystem())

    def kvstore(path, *_, **__):
        return {"driver": "file", "path": str(folder / path.removeprefix("gs://"))}

    with (
        mock.patch.object(backend._FileSystemSpecBackend, "_get_filesystem", return_value=files),
        mock.patch.object(gpath, "_is_zonal_gcs_bucket", return_value=False, create=True),
        mock.patch("orbax.checkpoint._src.path.gcs_utils.get_kvstore_for_gcs", kvstore),
        mock.patch(
            "orbax.checkpoint._src.path.gcs_utils.is_hierarchical_namespace_enabled", return_value=False
        ),
        mock.patch("importlib.util.find_spec", lambda name: name != "tensorflow" or None),
    ):
        yield
