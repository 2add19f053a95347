"""The kinds of inputs."""

from tests.fuzz.target import Target
from tests.fuzz.targets.archives import Archives
from tests.fuzz.targets.checkpoints import Checkpointed
from tests.fuzz.targets.configs import Configs
from tests.fuzz.targets.detectors import Detectors
from tests.fuzz.targets.images import Images
from tests.fuzz.targets.jpegs import Jpegs
from tests.fuzz.targets.lists import Lists
from tests.fuzz.targets.records import Records
from tests.fuzz.targets.tables import Tables
from tests.fuzz.targets.videos import Videos
from tests.fuzz.targets.weights import Weights

TARGETS: dict[str, type[Target]] = {
    "videos": Videos,
    "images": Images,
    "jpegs": Jpegs,
    "records": Records,
    "archives": Archives,
    "weights": Weights,
    "tables": Tables,
    "lists": Lists,
    "configs": Configs,
    "checkpoints": Checkpointed,
    "detectors": Detectors,
}
