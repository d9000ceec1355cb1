"""The places a job can be executed: a Protocol, one file each."""
