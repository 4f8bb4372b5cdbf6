"""Reads an HDF5 file in a process of its own: the HDF5 library crashes on damaged files, and this process with it.

  python h5_worker.py FILE      writes to stdout, as numpy's savez: `config`, a JSON text, and the datasets by their paths

`config` is the attribute model_config and may be missing. Datasets of a Keras model are named `<layer>\\n<weight>`, in the
order of the layers' weight_names; without model_config, as in the weights of .keras files, by their paths in the file.
"""

import io
import resource
import sys
from collections.abc import Iterator
from typing import Any

MAX_ADDRESSES = 3 << 30  # bytes
MAX_VALUES = 1 << 28  # of all datasets


def plain(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)


def keras_weights(group: Any) -> Iterator[tuple[str, Any]]:
    """Those that each layer's weight_names list; long lists are in weight_names0, weight_names1, ..."""
    for layer in group:
        attributes = group[layer].attrs
        keys = ("weight_names", *(f"weight_names{i}" for i in range(len(attributes))))
        lists = [attributes[key] for key in keys if key in attributes]
        for name in (plain(name) for names in lists for name in names):
            yield f"{layer}\n{name}", group[layer][name]


def all_datasets(group: Any) -> Iterator[tuple[str, Any]]:
    found = []
    group.visititems(lambda name, item: found.append((name, item)) if hasattr(item, "shape") else None)
    yield from found


def main(path: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESSES, MAX_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import h5py
    import numpy as np

    arrays: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is not None:
            arrays["config"] = np.frombuffer(plain(config).encode(), np.uint8)
        total = 0
        for name, dataset in keras_weights(file["model_weights"]) if config is not None else all_datasets(file):
            total += dataset.size
            if total > MAX_VALUES or dataset.dtype.kind not in "fiu":
                raise ValueError(f"{name!r}: {dataset.size} values of {dataset.dtype}")
            arrays[f"value {len(arrays)} {name}"] = dataset[()]
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    sys.stdout.buffer.write(memory.getvalue())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:  # h5py raises many kinds for damaged bytes
        sys.exit(f"{type(error).__name__}: {error}")
