"""A double of the parts of AndroidWorld that the agent touches, for tests where the package is not installed.

It was compared by hand with google-research/android_world (`base_agent.py` 7dfa12a, `json_action.py` 21c0bc0,
`actuation.py` 1903b2f, `adb_utils.py` 007d160, `interface.py` 06dcde7). `make test-android-world`
runs the same tests on the package itself.
"""
