"""The display of a session: an image of Thaw's own, its start script, and how a container of it is described."""
