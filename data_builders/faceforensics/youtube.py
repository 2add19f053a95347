"""Which videos of FaceForensics++ were cut from the same YouTube video, and so show the same person."""

from __future__ import annotations

from collections.abc import Mapping

from fakedetect_jax.data import schema

# The publisher's dataset/conversion_dict.json: each of these was cut from the same video as the number before it.
_NUMBERS = "332 525 567 606 615 619 640 686 687 756 767 770 788 838 876 884 938 943 955 968 974 983 994"
CUT_AGAIN = frozenset(_NUMBERS.split())


def youtube_identity(number: str) -> str:
    """Return who is seen in a video of three digits: '000' shows youtube-000; '755' and '756' both show youtube-755.

    Datasets made from these videos use this name too, so that people can be compared across datasets.
    """
    while number in CUT_AGAIN:
        number = f"{int(number) - 1:03d}"
    return f"{schema.YOUTUBE}{number}"


def shared_notes(splits: Mapping[str, str]) -> list[str]:
    """Return a note that names the videos of one identity that are in several splits, if there are any.

    Args:
        splits: The split of each video of three digits.
    """
    cuts: dict[str, list[str]] = {}
    for number in sorted(splits):
        cuts.setdefault(youtube_identity(number), []).append(number)
    shared = [numbers for numbers in cuts.values() if len({splits[number] for number in numbers}) > 1]
    if not shared:
        return []
    named = "; ".join(
        " and ".join(f"{number} ({splits[number]})" for number in numbers) for numbers in shared
    )
    return [
        f"the official splits, which are kept, share {len(shared)} people, whose videos were cut from the same "
        f"YouTube video: {named}"
    ]
