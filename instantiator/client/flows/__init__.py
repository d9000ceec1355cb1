"""What is asked of a service and what its answers mean, without input and output: drivers carry it out."""
