"""Which videos of FaceForensics++ were cut from one video on YouTube, and so show the same person."""

from __future__ import annotations

from collections.abc import Mapping

# By the publisher's dataset/conversion_dict.json each of these was cut from the same video as the number before it.
_NUMBERS = "332 525 567 606 615 619 640 686 687 756 767 770 788 838 876 884 938 943 955 968 974 983 994"
CUT_AGAIN = frozenset(_NUMBERS.split())


def youtube_identity(number: str) -> str:
    """Returns who is seen in a video of three digits: '000' is youtube-000, and '756', as '755', youtube-755.

    Datasets made of these videos use it too, so that their people can be compared.
    """
    while number in CUT_AGAIN:
        number = f"{int(number) - 1:03d}"
    return f"youtube-{number}"


def shared_notes(splits: Mapping[str, str]) -> list[str]:
    """Returns a note that names the videos of one identity that are in several splits, if there are any.

    Args:
      splits: the split of each video of three digits.
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
        f"the official splits, kept as they are, share {len(shared)} people, whose videos were cut from one on "
        f"YouTube: {named}"
    ]
