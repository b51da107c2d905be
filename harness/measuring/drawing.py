"""One game of a run as it is drawn, position by position: something to look at, and no result."""

from typing import Any

import gymnasium

from harness.contract.specs import EnvironmentSpec
from harness.measuring import environments
from harness.measuring.environments import Env
from harness.text import plain_lines

MODE = "ansi"  # of Gymnasium's rendering: text
MOST_DRAWINGS, MOST_CHARACTERS = 100, 1_000  # positions of a game, and of each


def drawn(spec: EnvironmentSpec, drawings: list[str]) -> Env:
    """A fresh environment that adds a drawing after reset and after each step; a plain one where it draws no text."""
    plain = environments.make(spec)
    if MODE not in (plain.metadata.get("render_modes") or ()):
        return plain
    try:
        env = _Drawing(environments.make(spec, MODE), drawings)
    except Exception:  # what cannot be drawn can be played
        return plain
    plain.close()
    return env


class _Drawing(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Draws until something goes wrong, which ends the drawings and never the episode."""

    def __init__(self, env: Env, drawings: list[str]) -> None:
        super().__init__(env)
        self._drawings, self._over = drawings, False

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        """Draw the first position, too."""
        result = super().reset(**given)
        self._draw()
        return result

    def step(self, action: Any) -> Any:
        """Draw the position that follows."""
        result = super().step(action)
        self._draw()
        return result

    def _draw(self) -> None:
        if self._over or len(self._drawings) == MOST_DRAWINGS:
            return
        try:
            self._drawings.append(plain_lines(str(self.env.render()), MOST_CHARACTERS))
        except Exception:
            self._drawings.clear()
            self._over = True
