"""Types of a configuration's fields that hold no negative number: any other value is refused by name."""

from typing import Annotated

from annotated_types import Ge, Gt

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
