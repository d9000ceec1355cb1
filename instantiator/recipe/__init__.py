"""What a recipe declares: its language, its values, its checks."""
