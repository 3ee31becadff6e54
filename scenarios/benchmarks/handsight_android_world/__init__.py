"""Handsight as an agent of AndroidWorld: `HandsightAgent(env, EpisodeClient(url))`."""

from handsight_android_world.agent import HandsightAgent

__all__ = ["HandsightAgent"]
