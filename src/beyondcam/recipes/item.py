"""What is mapped: an image and its targets."""

from dataclasses import dataclass

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class Item:
    """An image to be mapped and its targets: the classes that maps are wanted for, each once."""

    id: str
    photo: Photo
    targets: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(set(self.targets)) < len(self.targets):
            raise BeyondcamError(f"a class is named twice for {self.id}", parameter="targets")

    def ranks(self) -> list[int]:
        """The rank of each target among the image's targets in ascending order, the order within a batch."""
        return [sorted(self.targets).index(c) for c in self.targets]
