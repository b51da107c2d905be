"""What one role publishes for all: parameters, and how learning goes."""

from collections.abc import Mapping, Sequence

from torch import Tensor


class Published:
    """A store that one role overwrites.

    Args:
        flat: θ, the parameters, [S, P].
        logged: which of the rest are diagnostics, [S] or [] each.
        rest: what else is published, by names.
    """

    def __init__(self, flat: Tensor, logged: Sequence[str], **rest: Tensor) -> None:
        self.flat = flat
        self._logged = logged
        vars(self).update(rest)  # as attributes, since those are what processes share

    def pulled(self, asked: None) -> Tensor:
        """θ as it is."""
        return self.flat.clone()

    def pushed(self, message: Mapping[str, Tensor]) -> None:
        """Overwrite what the message names."""
        for name, value in message.items():
            getattr(self, name).copy_(value)

    def status(self) -> Mapping[str, Tensor]:
        """The diagnostics."""
        return {name: getattr(self, name) for name in self._logged}
