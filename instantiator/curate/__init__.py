"""new -> lint -> lock -> build -> test -> publish."""
