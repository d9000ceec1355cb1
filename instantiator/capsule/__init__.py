"""A capsule: one file that holds all that is needed to repeat a run without Thaw. docs/capsule.md says what."""
