"""Handsight as an agent of AndroidWorld: `HandsightAgent(env, EpisodeClient(url))`."""

__all__ = ["HandsightAgent"]


def __getattr__(name):
    # The command line says what is missing where AndroidWorld is.
    if name == "HandsightAgent":
        from handsight_android_world.agent import HandsightAgent

        return HandsightAgent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
