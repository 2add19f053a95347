"""The kinds of inputs."""

from tests.fuzz.target import Target
from tests.fuzz.targets.images import Images
from tests.fuzz.targets.videos import Videos

TARGETS: dict[str, type[Target]] = {
    "videos": Videos,
    "images": Images,
}
