"""Handsight as an agent of OSWorld: `HandsightAgent(EpisodeClient(url))`, with `predict(instruction, obs)`."""

from handsight_osworld.agent import HandsightAgent

__all__ = ["HandsightAgent"]
