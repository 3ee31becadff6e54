"""What every agent is."""

import dataclasses


@dataclasses.dataclass
class AgentInteractionResult:
    """What a step returns."""

    done: bool
    data: dict


class EnvironmentInteractingAgent:
    """The base class: an environment, a name, and a pause before each look."""

    def __init__(self, env, name="", transition_pause=1.0):
        if transition_pause is not None and transition_pause < 0:
            raise ValueError(transition_pause)
        self.env, self.name, self.transition_pause = env, name, transition_pause
        self._max_steps = None

    def set_max_steps(self, max_steps):
        self._max_steps = max_steps

    def reset(self, go_home=False):
        self.env.reset(go_home=go_home)

    def get_post_transition_state(self):
        return self.env.get_state(wait_to_stabilize=self.transition_pause is None)
